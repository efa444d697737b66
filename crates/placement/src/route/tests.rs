use super::*;

#[test]
fn case_16_an_embedding_of_no_numbers_or_huge_ones_is_not_shared() {
    assert!(check_embedding(&[0.5, -1024.0, 1024.0]).is_ok());
    for entry in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1025.0, -1e30] {
        let refused = check_embedding(&[0.5, entry]);
        assert!(matches!(refused, Err(PlacementError::EmbeddingRange)), "{entry}");
    }
}

#[test]
fn case_47_the_encoder_of_head_runs_at_one_size_for_every_length() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../bundles/default.blindroute");
    let mut parts = blindroute_routing::bundle::Bundle::open(&path).unwrap().bundle.into_parts();
    parts.layers.truncate(1);
    parts.encoder.layers = 1;
    let router = PrivateRouter::local(&blindroute_routing::bundle::Bundle::new(parts).unwrap()).unwrap();
    let asked = Asked {
        placement: Placement::Head,
        router: 0,
        lambda: 0.5,
        fallback: None,
        ranked: 1,
        cancel: Cancel::default(),
        trial: Trial::default(),
    };
    for words in [1, 40, 100, 200, 5000] {
        let tokens = router.tokens(&"word ".repeat(words)).unwrap();
        let (measurement, inputs) = router.head_encoding(&tokens).unwrap();
        assert_eq!(measurement, Measurement::Embed { bucket: 256 }, "{words} words");
        let sizes: Vec<usize> = inputs.iter().map(|tensor| tensor.shape().len()).collect();
        assert_eq!(sizes, [256 * 384, 256, 256, 1], "{words} words");
        // Padding is zero: the embedding is the one of the prompt's own bucket.
        let (padded, _) = router.clear(measurement, inputs).unwrap();
        let bucket = tokens.bucket();
        let own = router.encoder_inputs(&tokens.ids, bucket).unwrap().tensors;
        let (own, _) = router.clear(Measurement::Embed { bucket }, own).unwrap();
        let shared = &router.inputs(&asked, &tokens).unwrap()[0];
        for ((padded, own), &shared) in padded.values[0].iter().zip(&own.values[0]).zip(shared.data()) {
            assert!((padded - own).abs() < 1e-5 && shared == *padded as f32, "{words} words: {padded} for {own}");
        }
    }
}

#[test]
fn the_model_for_unknown_text_comes_first_and_none_is_named_twice() {
    assert_eq!(with_first(None, &[4, 2, 7]), [4, 2, 7]);
    assert_eq!(with_first(Some(7), &[4, 2, 7]), [7, 4, 2]);
    assert_eq!(with_first(Some(9), &[4, 2, 7]), [9, 4, 2]);
    assert_eq!(with_first(Some(9), &[4]), [9]);
}

#[test]
fn a_session_is_of_its_placements_task() {
    let asked = |placement| Asked {
        placement,
        router: 2,
        lambda: 0.0,
        fallback: None,
        ranked: 1,
        cancel: Cancel::default(),
        trial: Trial::default(),
    };
    assert_eq!(asked(Placement::Local).task(32), None);
    assert_eq!(asked(Placement::Head).task(32), Some(Task::head(2)));
    let full = asked(Placement::Full).task(256).unwrap();
    assert_eq!((full, full.most_prompts()), (Task::route(2, 256), 16));
}
