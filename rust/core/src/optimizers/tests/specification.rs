//! What is read, and what is refused.

use super::*;

#[test]
fn specification_is_strict() {
    let parse = |text: &str| serde_json::from_str::<Optimizer>(text);
    let common = r#""learning_rate":0.01,"decay":0.0,"weight_decay":null,"clipnorm":1.5,"clipvalue":null,"global_clipnorm":null"#;
    let rules = [
        (r#""kind":"sgd","momentum":0.5,"nesterov":true"#, sgd(0.5, true)),
        (r#""kind":"rmsprop","rho":0.9,"momentum":0,"epsilon":1e-7,"centered":false"#, rmsprop(0.9, 0.0, 1e-7, false)),
        (r#""kind":"adam","beta_1":0.9,"beta_2":0.999,"epsilon":1e-7,"amsgrad":true"#, adam(0.9, 0.999, 1e-7, true)),
    ];
    for (text, rule) in rules {
        let expected = Optimizer { clipnorm: Some(1.5), ..optimizer(0.01, rule) };
        let parsed = parse(&format!("{{{text},{common}}}")).unwrap();
        assert_eq!(parsed, expected);
        assert!(parsed.validate().is_ok());
        assert_eq!(parse(&serde_json::to_string(&parsed).unwrap()).unwrap(), parsed);
        let error = parse(&format!("{{{text},{common},\"lr\":0.1}}")).unwrap_err().to_string();
        assert!(error.contains("`lr`"), "{error}");
        assert!(parse(&format!("{{{text}}}")).is_err());
    }
    assert!(parse(&format!(r#"{{"kind":"sgd",{common}}}"#)).is_err());
    assert!(parse(&format!(r#"{{"kind":"no_such_optimizer",{common}}}"#)).is_err());
}

#[test]
fn wrong_numbers_name_their_argument() {
    let good = optimizer(0.01, sgd(0.0, false));
    for bad in [-0.1, f64::NAN, f64::INFINITY] {
        let wrong = [
            (Optimizer { learning_rate: bad, ..good.clone() }, "`learning_rate`"),
            (Optimizer { decay: bad, ..good.clone() }, "`decay`"),
            (Optimizer { weight_decay: Some(bad), ..good.clone() }, "`weight_decay`"),
            (Optimizer { clipnorm: Some(bad), ..good.clone() }, "`clipnorm`"),
            (Optimizer { clipvalue: Some(bad), ..good.clone() }, "`clipvalue`"),
            (Optimizer { global_clipnorm: Some(bad), ..good.clone() }, "`global_clipnorm`"),
            (optimizer(0.01, sgd(bad, false)), "`momentum`"),
            (optimizer(0.01, rmsprop(bad, 0.0, 0.0, false)), "`rho`"),
            (optimizer(0.01, rmsprop(0.5, bad, 0.0, false)), "`momentum`"),
            (optimizer(0.01, rmsprop(0.5, 0.0, bad, false)), "`epsilon`"),
            (optimizer(0.01, adam(bad, 0.5, 0.0, false)), "`beta_1`"),
            (optimizer(0.01, adam(0.5, bad, 0.0, false)), "`beta_2`"),
            (optimizer(0.01, adam(0.5, 0.5, bad, false)), "`epsilon`"),
        ];
        for (optimizer, name) in wrong {
            let text = optimizer.validate().unwrap_err().to_string();
            assert!(text.starts_with(name), "{text}");
        }
    }
    // 1 - beta would divide by zero.
    assert!(optimizer(0.01, adam(1.0, 0.5, 0.0, false)).validate().is_err());
    let two = Optimizer { clipnorm: Some(1.0), clipvalue: Some(2.0), ..good };
    let text = two.validate().unwrap_err().to_string();
    assert!(text.contains("at most one of") && text.contains("clipnorm=1, clipvalue=2"), "{text}");
}
