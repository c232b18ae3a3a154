//! Which of the choices of a question an answer means.

/// How often a question is asked again after an answer that is none of its choices.
pub const ATTEMPTS_MAX: usize = 5;

/// The choice that was meant: the one that is written, in whatever case, or the only one that
/// begins so. Any answer when there is nothing to choose from; `None` when it is none of them.
pub fn choose(answer: &str, choices: &[String]) -> Option<String> {
    if choices.is_empty() {
        return Some(answer.to_owned());
    }
    let answer = answer.trim().to_lowercase();
    let written = choices.iter().find(|it| it.to_lowercase() == answer);
    if written.is_some() || answer.is_empty() {
        return written.cloned();
    }
    let mut begun = choices
        .iter()
        .filter(|it| it.to_lowercase().starts_with(&answer));
    match (begun.next(), begun.next()) {
        (Some(only), None) => Some(only.clone()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_means_what_is_written_or_the_only_one_that_begins_so() {
        let approval = ["yes", "no", "always"];
        let towns = ["Bern", "Berlin", "1", "10"];
        for (choices, answer, expected) in [
            (&approval[..], "yes", Some("yes")),
            (&approval[..], " Y ", Some("yes")),
            (&approval[..], "ALW", Some("always")),
            (&approval[..], "yess", None),
            (&approval[..], "ja", None),
            (&approval[..], "", None),
            (&approval[..], " ", None),
            (&towns[..], "ber", None),
            (&towns[..], "berl", Some("Berlin")),
            (&towns[..], "1", Some("1")),
            (&[], "anything ", Some("anything ")),
            (&["", "x"], "", Some("")),
        ] {
            let choices: Vec<String> = choices.iter().map(|it| (*it).to_owned()).collect();
            assert_eq!(choose(answer, &choices).as_deref(), expected, "{answer}");
        }
    }
}
