{{/* The name of everything that a release makes. */}}
{{- define "blindroute.name" -}}
{{- printf "%s-%s" .Release.Name .Values.role | trunc 50 | trimSuffix "-" -}}
{{- end }}

{{- define "blindroute.selector" -}}
app.kubernetes.io/name: blindroute
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: {{ .Values.role }}
{{- end }}

{{- define "blindroute.labels" -}}
{{ include "blindroute.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{/* How many lanes have a configuration and a service. */}}
{{- define "blindroute.most" -}}
{{- $most := max (int .Values.lanes) (int .Values.maxLanes) -}}
{{- if and .Values.autoscaling.enabled (le (int .Values.maxLanes) (int .Values.lanes)) -}}
{{- fail "autoscaling needs maxLanes above lanes: each lane that can be added needs its configuration and its service" -}}
{{- end -}}
{{- $most -}}
{{- end }}

{{/* The port at the end of "address:port". */}}
{{- define "blindroute.port" -}}
{{- regexFind "[0-9]+$" .Values.listen -}}
{{- end }}

{{/* What a role needs, said before Kubernetes is asked for anything. */}}
{{- define "blindroute.check" -}}
{{- if ne .Values.role "dealer" -}}
{{- $_ := required "addresses.dealer is empty; a server needs the dealer's address, such as dealer-{lane}.example:4100" .Values.addresses.dealer -}}
{{- end -}}
{{- if eq .Values.role "server1" -}}
{{- $_ := required "addresses.server0 is empty; server 1 calls server 0: give its address, such as server0-{lane}.example:4100" .Values.addresses.server0 -}}
{{- end -}}
{{- if gt (int (include "blindroute.most" .)) 1 -}}
{{- range $role, $address := .Values.addresses -}}
{{- if and $address (not (contains "{lane}" $address)) -}}
{{- fail (printf "addresses.%s is one address for several lanes; write {lane} where the lane's number stands in it" $role) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and .Values.ledger.database (not .Values.ledger.secretName) -}}
{{- fail "ledger.database needs ledger.secretName: the Secret with the password and the database's authority" -}}
{{- end -}}
{{- end }}
