//! The standard set of measurements.

use super::file::{Record, Subject};
use super::hardware::{Hardware, commit};
use crate::measure::head::measure_head;
use crate::measure::route::measure_route;
use crate::measure::runs::Figures;
use crate::measure::selection::measure_select;
use crate::measure::{check_tokens, variant};
use blindroute_console::bundles::Shipped;
use blindroute_routing::bundle::{Activation, Attention};
use blindroute_runtime::SceneName;
use clap::Args;

/// What is measured in each scene: routes of each length (the published weights with 2relu + relu and with softmax + gelu, and
/// the default bundle), placement head, and a selection.
#[derive(Debug, Args)]
pub(crate) struct StandardSet {
    /// Measured runs of each after one warm-up run; medians are recorded
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    runs: u32,
    /// Prompt lengths in tokens, 3 to 256
    #[arg(long, value_delimiter = ',', default_values_t = [32, 128, 256])]
    tokens: Vec<usize>,
    /// Networks: loopback, lan, metro, wan
    #[arg(long, value_name = "SCENES", value_delimiter = ',', default_values_t = [SceneName::Loopback])]
    scene: Vec<SceneName>,
}

/// The encoders of the standard set: the published weights in the papers' fast program and in the real model's, and the
/// student in its own.
const ENCODERS: [(Shipped, Option<(Attention, Activation)>); 3] = [
    (Shipped::MiniLm, Some((Attention::TwoRelu, Activation::Relu))),
    (Shipped::MiniLm, Some((Attention::Softmax, Activation::Gelu))),
    (Shipped::Default, None),
];

impl StandardSet {
    /// Measures one after the other, each with processes of its own.
    pub(crate) fn measure(&self, done: &mut dyn FnMut(&Record) -> anyhow::Result<()>) -> anyhow::Result<()> {
        check_tokens(&self.tokens)?;
        let (hardware, commit) = (Hardware::here(), commit());
        let mut done = |command: String, subject: Subject, figures: &Figures| {
            let scene = if figures.scene == "loopback" { String::new() } else { format!(" --scene {}", figures.scene) };
            let command = format!("bench {command}{scene} --runs {}", figures.runs);
            let record = Record::new(&hardware, &commit, command, subject, figures);
            figures.confirm(&record.name())?;
            done(&record)
        };
        let runs = self.runs;
        for &scene in &self.scene {
            for (shipped, program) in ENCODERS {
                let (attention, activation) = program.unzip();
                let bundle = variant(shipped.open()?, attention, activation)?;
                for &tokens in &self.tokens {
                    let measured = measure_route(&bundle, None, tokens, scene, runs)?;
                    let flags = program.map(|(attention, ffn)| format!(" --attention {attention} --ffn {ffn}"));
                    let command = format!("route --tokens {tokens}{}", flags.unwrap_or_default());
                    let subject = Subject {
                        bundle: shipped.name(),
                        task: "route",
                        tokens: Some(tokens),
                        attention: Some(measured.attention),
                        ffn: Some(measured.ffn),
                        router: Some(measured.router),
                    };
                    done(command, subject, &measured.figures)?;
                }
            }
            let bundle = Shipped::Default.name();
            let default = Shipped::Default.open()?;
            let measured = measure_head(&default, None, scene, runs)?;
            let subject = Subject { bundle, task: "head", router: Some(measured.router), ..Subject::default() };
            done("head".to_owned(), subject, &measured.figures)?;
            let measured = measure_select(&default, 112, 4, scene, runs)?;
            let subject = Subject { bundle, task: "select", ..Subject::default() };
            done("select --candidates 112 --k 4".to_owned(), subject, &measured.figures)?;
        }
        Ok(())
    }
}
