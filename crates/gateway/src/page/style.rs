//! How the pages look.

/// The style sheet. The policy allows this text only, by its hash.
pub(super) const STYLE: &str = "
:root { color-scheme: light dark; --text: #1b1f24; --soft: #57606a; --back: #ffffff; --card: #f6f8fa; --line: #d0d7de;
  --link: #0550ae; --bad: #b3261e; --good: #116329; --waiting: #8250df; --online: #0969da; --upstream: #bf5700; --other: #6e7781; }
@media (prefers-color-scheme: dark) { :root { --text: #e6edf3; --soft: #9ea7b3; --back: #0d1117; --card: #161b22;
  --line: #3d444d; --link: #79b8ff; --bad: #ff938a; --good: #56d364; --waiting: #bc8cff; --online: #58a6ff;
  --upstream: #f0883e; --other: #7d8590; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 70rem; padding: 1rem; color: var(--text); background: var(--back);
  font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: break-word; }
h1 { font-size: 1.5rem; margin: 0; }
h2 { font-size: 1.15rem; margin: 0 0 .5rem; }
p { margin: .5rem 0; }
a { color: var(--link); }
a:focus-visible, button:focus-visible, summary:focus-visible, [tabindex]:focus-visible { outline: 3px solid var(--link); outline-offset: 2px; }
section { margin: 1.25rem 0; padding: 1rem; border: 1px solid var(--line); border-radius: .5rem; background: var(--card); }
.wide { overflow-x: auto; }
.wide + h2, .wide + .wide { margin-top: 1rem; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--soft); padding-bottom: .25rem; }
th, td { text-align: left; padding: .35rem .75rem .35rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
td.number, th.number { text-align: right; }
.short { white-space: nowrap; }
.soft { color: var(--soft); }
.bad { color: var(--bad); font-weight: 600; }
.good { color: var(--good); }
code { font-family: ui-monospace, monospace; overflow-wrap: anywhere; }
svg { display: block; max-width: 100%; height: auto; }
svg text { fill: var(--soft); font-size: 12px; }
.waiting { fill: var(--waiting); } .online { fill: var(--online); } .upstream { fill: var(--upstream); }
.other { fill: var(--other); } .axis { stroke: var(--line); }
.legend { display: flex; flex-wrap: wrap; gap: .25rem 1rem; list-style: none; margin: .5rem 0; padding: 0; }
.legend svg { display: inline-block; vertical-align: middle; margin-right: .4rem; }
progress { width: 100%; max-width: 12rem; accent-color: var(--online); }
button { font: inherit; padding: .5rem 1rem; border: 2px solid var(--bad); border-radius: .4rem; background: var(--back); color: var(--bad); cursor: pointer; }
dt { font-weight: 600; } dd { margin: 0 0 .5rem; }
";
