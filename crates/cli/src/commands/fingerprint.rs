//! `blindroute fingerprint`: models' descriptors from what they answer.

use std::path::PathBuf;

use anyhow::{Context, bail};
use blindroute_lab::routers::fingerprint::{
    ChatEndpoint, Fingerprints, Kind, MOST_TOP_LOGPROBS, Options, Probes, fingerprint,
};
use blindroute_routing::bundle::Model;
use indicatif::ProgressStyle;

use blindroute_console::files::{check_out, print, write_file};

/// What endpoints allow that allow fewer than OpenAI's.
const FEW_TOP_LOGPROBS: u32 = 5;

/// Measure models' descriptors through an endpoint that speaks OpenAI's protocol, for CSCR. Models that the file has already
/// are left as they are, so that an interrupted measurement continues and a model can be added later.
#[derive(clap::Args, Debug)]
pub(crate) struct FingerprintArgs {
    /// The endpoint, as `https://api.example.com/v1`.
    #[arg(long, value_name = "URL")]
    base_url: String,
    /// A model's name at the endpoint; may be given several times.
    #[arg(long, value_name = "NAME", required = true)]
    model: Vec<String>,
    /// The probes: JSON lines with prompt or text; lines of another split than train are skipped.
    #[arg(long, value_name = "FILE.jsonl")]
    probes: PathBuf,
    /// How many probes are used, from the first.
    #[arg(long, default_value_t = 64, value_name = "N")]
    most: usize,
    /// footprint: which tokens a model finds likely; needs top_logprobs. perplexity: how unlikely its answers are.
    #[arg(long, value_enum, default_value = "footprint")]
    kind: KindArg,
    /// The largest number of tokens of an answer [default: 10 for a footprint, 64 for perplexity].
    #[arg(long)]
    tokens: Option<usize>,
    /// The width of a footprint.
    #[arg(long, default_value_t = 128)]
    width: usize,
    /// How many of the likeliest tokens per position a footprint asks for, 1 to 20 [default: 20, or 5 where the endpoint allows no
    /// more; what a file was measured with].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=20))]
    top_logprobs: Option<u32>,
    /// Who judges perplexity: an endpoint whose completions can echo a prompt with its log-probabilities [default: each
    /// model judges its own answers].
    #[arg(long, value_name = "URL", requires = "scorer_model")]
    scorer_url: Option<String>,
    /// The judge's name there.
    #[arg(long, value_name = "NAME", requires = "scorer_url")]
    scorer_model: Option<String>,
    /// The environment variable with the endpoint's API key; none is sent if it is not set.
    #[arg(long, default_value = "OPENAI_API_KEY", value_name = "VARIABLE")]
    api_key_env: String,
    /// Where to keep the fingerprints; an existing file is extended.
    #[arg(long, value_name = "FILE.json")]
    out: PathBuf,
    /// Print what was measured as one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(clap::ValueEnum, Clone, Copy, Debug)]
enum KindArg {
    Footprint,
    Perplexity,
}

impl FingerprintArgs {
    /// What is measured, with so many log-probabilities per position.
    fn options(&self, top_logprobs: u32) -> anyhow::Result<Options> {
        let (kind, tokens) = match self.kind {
            KindArg::Footprint => (Kind::Footprint, 10),
            KindArg::Perplexity => (Kind::Perplexity, 64),
        };
        let options = Options { kind, tokens: self.tokens.unwrap_or(tokens), width: self.width, top_logprobs };
        if options.tokens == 0 || !(2..=65536).contains(&options.width) {
            bail!("unsupported --tokens or --width: expected at least 1 token, and a width from 2 to 65536");
        }
        for name in &self.model {
            Model::check_name(name).map_err(|problem| anyhow::anyhow!("the name of a --model {problem}"))?;
        }
        Ok(options)
    }
}

/// Asks every model every probe, and writes the file after each model.
pub(crate) fn run(args: &FingerprintArgs) -> anyhow::Result<()> {
    check_out(&args.out)?;
    let there = match args.out.try_exists() {
        Ok(true) => Some(Fingerprints::read(&args.out)?),
        _ => None,
    };
    let asked = args.top_logprobs.or(there.as_ref().map(Fingerprints::top_logprobs)).unwrap_or(MOST_TOP_LOGPROBS);
    let mut options = args.options(asked)?;
    let kind = options.kind;
    let probes = Probes::read(&args.probes, args.most)?;
    blindroute_runtime::choose_cryptography();
    let key = std::env::var(&args.api_key_env).ok();
    let endpoint = ChatEndpoint::new(&args.base_url, key.as_deref())?;
    let scorer = args.scorer_url.as_deref().map(|url| ChatEndpoint::new(url, key.as_deref())).transpose()?;
    let scorer = scorer.as_ref().zip(args.scorer_model.as_deref());

    let judge = scorer.map(|(_, model)| model);
    let empty = Fingerprints::new(&options, &probes, judge);
    let mut all = there.unwrap_or_else(|| empty.clone());
    if !all.compares_with(&empty) {
        bail!(
            "{} was measured with other probes, tokens, kind, scorer or top_logprobs; give the same ones, or name another --out",
            args.out.display()
        );
    }
    let mut measured = Vec::new();
    for model in &args.model {
        if all.has(model) {
            tracing::info!("{model} is in {} already", args.out.display());
            continue;
        }
        let bar = blindroute_console::terminal::bar(probes.len() as u64);
        bar.set_style(ProgressStyle::with_template("asking {msg} {wide_bar} {pos}/{len} {eta}")?);
        bar.set_message(model.clone());
        let measure = |options: &Options| {
            fingerprint(&endpoint, model, scorer, &probes, options, &mut |done| bar.set_position(done as u64))
        };
        let mut found = measure(&options);
        // All models of a file are measured in the same way, so only the first can be asked for less.
        if matches!(&found, Err(error) if error.is_of_top_logprobs()) && args.top_logprobs.is_none() && all.is_empty() {
            options.top_logprobs = FEW_TOP_LOGPROBS;
            all = Fingerprints::new(&options, &probes, judge);
            tracing::warn!(
                "the endpoint allows fewer than {asked} top_logprobs; all models of this file are measured with {FEW_TOP_LOGPROBS}"
            );
            found = measure(&options);
        }
        bar.finish_and_clear();
        let found = found.with_context(|| format!("could not measure {model}"))?;
        all.insert(model, found);
        if !all.is_one_width() {
            bail!("{} has descriptors of another width; give its --width, or name another --out", args.out.display());
        }
        write_file(all.to_json()?.as_bytes(), &args.out)?;
        measured.push(model);
    }
    let asked = (kind == Kind::Footprint).then(|| all.top_logprobs());
    let top = asked.map(|asked| format!(" with {asked} top_logprobs")).unwrap_or_default();
    print(&if args.json {
        let (models, probes) = (all.len(), probes.len());
        serde_json::json!({
            "out": args.out, "models": models, "measured": measured, "probes": probes, "top_logprobs": asked,
        })
        .to_string()
    } else {
        format!(
            "{}: {} models, {} measured now by {} probes",
            args.out.display(),
            all.len(),
            measured.len(),
            probes.len()
        ) + &top
    })
}
