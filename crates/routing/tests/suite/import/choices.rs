//! Where the imported program comes from: the published files, unless the caller chooses otherwise.

use super::*;
use blindroute_routing::tokenizer::Window;

#[test]
fn the_program_is_what_the_weights_were_trained_with_unless_chosen() {
    let weights = sample().safetensors(NumberType::F32);
    let run = |config: &str, pooling: Option<&str>, choices: ProgramChoices| {
        let published = PublishedFiles {
            weights: &weights,
            config: config.as_bytes(),
            tokenizer: PublishedEncoder::tokenizer().leak().as_bytes(),
            pooling: pooling.map(str::as_bytes),
            modules: None,
        };
        let options = ImportOptions { choices, ..Default::default() };
        let imported = Bundle::import(&published, &options).map_err(|error| error.to_string())?;
        let encoder = imported.bundle.parts().encoder.clone();
        Ok::<_, String>((encoder.attention, encoder.activation, encoder.pooling, imported.notes))
    };
    let mode = |on: &str| {
        format!(
            "{{\"word_embedding_dimension\": 60, \"pooling_mode_cls_token\": {}, \"pooling_mode_mean_tokens\": {}, \"pooling_mode_max_tokens\": {}}}",
            on == "cls",
            on == "mean",
            on == "max"
        )
    };
    let config = sample().config();
    let none = ProgramChoices::default();
    let (attention, activation, pooling, notes) = run(&config, Some(&mode("mean")), none).unwrap();
    assert_eq!(
        (attention, activation, pooling, notes),
        (Attention::Softmax, Activation::Gelu, Pooling::Mean, Vec::new())
    );
    assert_eq!(run(&config, Some(&mode("cls")), none).unwrap().2, Pooling::Cls);
    assert_eq!(run(&config, Some("\u{feff}{\"pooling_mode\": \"cls\"}"), none).unwrap().2, Pooling::Cls);
    assert!(run(&config, Some(&mode("max")), none).unwrap_err().contains("max_tokens"));
    assert!(run(&config, Some(&mode("mean").replace("60", "61")), none).unwrap_err().contains("hidden_size = 60"));
    assert!(run(&config, None, none).unwrap().3[0].contains("--pooling cls"));
    assert_eq!(run(&config.replace("\"gelu\"", "\"relu\""), Some(&mode("mean")), none).unwrap().1, Activation::Relu);
    let (_, activation, _, notes) =
        run(&config.replace("\"gelu\"", "\"gelu_new\""), Some(&mode("mean")), none).unwrap();
    assert!(activation == Activation::Gelu && notes[0].contains("gelu_new"), "{notes:?}");
    let chosen = ProgramChoices {
        attention: Some(Attention::TwoRelu),
        activation: Some(Activation::Relu),
        pooling: Some(Pooling::Cls),
        window: Window::Tail,
    };
    let (attention, activation, pooling, notes) = run(&config, Some(&mode("mean")), chosen).unwrap();
    assert_eq!((attention, activation, pooling), (Attention::TwoRelu, Activation::Relu, Pooling::Cls));
    assert!(notes.len() == 3 && notes[..2].iter().all(|note| note.contains("distil")), "{notes:?}");
    let same = ProgramChoices {
        attention: Some(Attention::Softmax),
        activation: Some(Activation::Gelu),
        pooling: Some(Pooling::Mean),
        window: Window::Head,
    };
    assert_eq!(run(&config, Some(&mode("mean")), same).unwrap().3, Vec::<String>::new());
}
