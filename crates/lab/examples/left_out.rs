//! Measures joining: each model in turn is left out of training and then joins the pool, as with `blindroute bundle add`. Prints
//! the area on the test split without the model, with the joined model, and with the model in training.
//!
//! `cargo run --release -p blindroute-lab --example left_out -- BUNDLE DATA EMBEDDINGS [EVERY]`: a bundle with an encoder, a data
//! set, a file for the embeddings, and the step between models that are left out (1: every model).
#![allow(clippy::print_stdout)]

use blindroute_lab::data::{Dataset, Samples, Split};
use blindroute_lab::encoders::embed_dataset;
use blindroute_lab::evaluation;
use blindroute_lab::routers::join::{Options, join};
use blindroute_lab::routers::{Method, cscr, train_router, uniroute};
use blindroute_routing::bundle::{Bundle, Matrix, Rule};
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
    let embeddings = embed_dataset(&bundle, &dataset, Some(&cache), &mut |_| ())?;

    let whole = [train(&bundle, &dataset, &embeddings, "uniroute")?, train(&bundle, &dataset, &embeddings, "cscr")?];
    let test = dataset.samples(Split::Test, &embeddings)?;
    println!("{:<52} {:>26} {:>26}", "left out", "uniroute", "cscr");
    println!("{:<52} {:>26} {:>26}", "", "without  joined    whole", "without  joined    whole");
    let mut sums = [[0.0; 3]; 2];
    let places: Vec<usize> = (0..dataset.models().len()).step_by(every.max(1)).collect();
    for place in &places {
        let without = dataset.without_model(*place);
        let order: Vec<usize> = (0..dataset.models().len()).filter(|other| other != place).chain([*place]).collect();
        let joined_test = dataset.with_models(&order).samples(Split::Test, &embeddings)?;
        let without_test = without.samples(Split::Test, &embeddings)?;
        let mut row = [[0.0; 3]; 2];
        for (index, router) in ["uniroute", "cscr"].into_iter().enumerate() {
            let trained = train(&bundle, &without, &embeddings, router)?;
            let options = Options { smoothing: 10.0, seed: 0, fingerprints: None };
            let joined = join(trained.clone(), &dataset, &embeddings, &options, "left out")?.bundle;
            row[index] = [area(&trained, &without_test), area(&joined, &joined_test), area(&whole[index], &test)];
        }
        print(&dataset.models()[*place].name, &row);
        for (sums, areas) in sums.iter_mut().zip(row) {
            sums.iter_mut().zip(areas).for_each(|(sum, area)| *sum += area / places.len() as f64);
        }
    }
    print("mean", &sums);
    Ok(())
}

fn train(bundle: &Bundle, dataset: &Dataset, embeddings: &Matrix, router: &str) -> Result<Bundle, Box<dyn Error>> {
    let method = match router {
        "uniroute" => Method::UniRoute(uniroute::Options::default()),
        _ => Method::Cscr(cscr::Options::default()),
    };
    Ok(train_router(bundle.clone(), dataset, embeddings, &method, (router, "left out"), &mut |_, _| ())?.bundle)
}

fn area(bundle: &Bundle, test: &Samples) -> f64 {
    let rule: &Rule = &bundle.parts().routers[0].rule;
    evaluation::hull_area(&evaluation::sweep(rule, test, &evaluation::lambdas()))
}

fn print(name: &str, rows: &[Areas; 2]) {
    let areas = |row: &Areas| row.map(|area| format!("{area:.4}")).join("   ");
    println!("{name:<52} {:>26} {:>26}", areas(&rows[0]), areas(&rows[1]));
}
