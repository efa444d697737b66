//! Measures joining: each model in turn is left out of training and then joins the pool, as with `blindroute bundle add`. Prints
//! the area on the test split without the model, with the joined model, and with the model in training.
//!
//! `cargo run --release -p blindroute-lab --example left_out -- BUNDLE DATA EMBEDDINGS [EVERY]`: a bundle with an encoder, a data
//! set, a file for the embeddings, and the step between models that are left out (1: every model).
#![allow(clippy::print_stdout)]

use blindroute_lab::Stop;
use blindroute_lab::data::{Dataset, Split};
use blindroute_lab::encoders::{Embedded, embed_dataset};
use blindroute_lab::evaluation;
use blindroute_lab::routers::join::{Options, join};
use blindroute_lab::routers::{Method, NewRouter, cscr, train_router, uniroute};
use blindroute_routing::bundle::Bundle;
use std::env;
use std::error::Error;
use std::path::PathBuf;

/// Areas on the test split: without the model, with the joined model, with the model in training.
type Areas = [f64; 3];

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args_os().skip(1).map(PathBuf::from);
    let (Some(bundle), Some(data), Some(cache)) = (arguments.next(), arguments.next(), arguments.next()) else {
        return Err("usage: left_out BUNDLE DATA EMBEDDINGS [EVERY]".into());
    };
    let every: usize = match arguments.next() {
        Some(every) => every.to_string_lossy().parse()?,
        None => 1,
    };
    let dataset = Dataset::load(&data)?;
    let mut parts = Bundle::open(&bundle)?.bundle.into_parts();
    (parts.models, parts.routers) = (Vec::new(), Vec::new());
    let bundle = Bundle::new(parts)?;
    let embedded = embed_dataset(&bundle, &dataset, Some(&cache), &mut |_| (), &Stop::never())?;

    let whole = [train(&bundle, &dataset, &embedded, "uniroute")?, train(&bundle, &dataset, &embedded, "cscr")?];
    println!("{:<52} {:>26} {:>26}", "left out", "uniroute", "cscr");
    println!("{:<52} {:>26} {:>26}", "", "without  joined    whole", "without  joined    whole");
    let mut sums = [[0.0; 3]; 2];
    let places: Vec<usize> = (0..dataset.models().len()).step_by(every.max(1)).collect();
    for place in &places {
        let without = dataset.without_model(*place);
        let order: Vec<usize> = (0..dataset.models().len()).filter(|other| other != place).chain([*place]).collect();
        let joined_set = dataset.with_models(&order);
        let mut row = [[0.0; 3]; 2];
        for (index, router) in ["uniroute", "cscr"].into_iter().enumerate() {
            let trained = train(&bundle, &without, &embedded, router)?;
            let options = Options { smoothing: 10.0, seed: 0, fingerprints: None };
            let joined = join(trained.clone(), &dataset, &embedded, &options, "left out")?.bundle;
            let area = |bundle, set| area(bundle, set, &embedded);
            row[index] = [area(&trained, &without)?, area(&joined, &joined_set)?, area(&whole[index], &dataset)?];
        }
        print(&dataset.models()[*place].name, &row);
        for (sums, areas) in sums.iter_mut().zip(row) {
            sums.iter_mut().zip(areas).for_each(|(sum, area)| *sum += area / places.len() as f64);
        }
    }
    print("mean", &sums);
    Ok(())
}

fn train(bundle: &Bundle, dataset: &Dataset, embedded: &Embedded, router: &str) -> Result<Bundle, Box<dyn Error>> {
    let method = match router {
        "uniroute" => Method::UniRoute(uniroute::Options::default()),
        _ => Method::Cscr(cscr::Options::default()),
    };
    let new = NewRouter { name: router, source: "left out", method: &method, lexical: None };
    Ok(train_router(bundle.clone(), dataset, embedded, new, &mut |_, _| (), &Stop::never())?.bundle)
}

fn area(bundle: &Bundle, dataset: &Dataset, embedded: &Embedded) -> Result<f64, Box<dyn Error>> {
    let router = &bundle.parts().routers[0];
    let test = dataset.samples(Split::Test, &embedded.inputs(&bundle.tokenizer()?, router.lexical))?;
    Ok(evaluation::hull_area(&evaluation::sweep(&router.rule, &test, &evaluation::lambdas())))
}

fn print(name: &str, rows: &[Areas; 2]) {
    let areas = |row: &Areas| row.map(|area| format!("{area:.4}")).join("   ");
    println!("{name:<52} {:>26} {:>26}", areas(&rows[0]), areas(&rows[1]));
}
