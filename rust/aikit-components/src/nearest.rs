//! Finds the known names nearest to one that is not known, for hints.

/// Most names a hint offers.
const NAMES_MAX: usize = 3;

/// The known names that look like `name`, best first; none when nothing is near.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let name = name.to_lowercase();
    // A third of the name may be wrong; more is another word.
    let distance_max = (name.chars().count() / 3).max(1);
    let mut near: Vec<(usize, &str)> = known
        .into_iter()
        .map(|it| (distance(&name, &it.to_lowercase()), it))
        .filter(|(distance, it)| *distance <= distance_max || it.contains(&*name))
        .collect();
    near.sort_unstable();
    near.into_iter()
        .take(NAMES_MAX)
        .map(|(_, name)| name)
        .collect()
}

/// A hint that offers the nearest names, or says what to do when there are none.
pub fn hint<'a>(
    name: &str,
    known: impl IntoIterator<Item = &'a str>,
    otherwise: impl Into<String>,
) -> String {
    let near = nearest(name, known);
    if near.is_empty() {
        return otherwise.into();
    }
    let names: Vec<String> = near.iter().map(|it| format!("`{it}`")).collect();
    format!("did you mean {}?", names.join(" or "))
}

/// Insertions, deletions and substitutions between two words (Levenshtein 1966).
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (line, from) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = line + 1;
        for (column, to) in right.iter().enumerate() {
            let substituted = diagonal + usize::from(from != *to);
            diagonal = row[column + 1];
            row[column + 1] = substituted.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_name_finds_its_neighbour() {
        let known = ["count_words", "read_file", "search_files"];
        assert_eq!(nearest("count_word", known), ["count_words"]);
        assert_eq!(nearest("Read_Fil", known), ["read_file"]);
        assert_eq!(nearest("file", known), ["read_file", "search_files"]);
        assert!(nearest("transmogrify", known).is_empty());
        assert!(nearest("nothere", ["gather"]).is_empty());
    }

    #[test]
    fn a_hint_without_neighbours_says_what_to_do() {
        assert_eq!(hint("x", ["abcdef"], "see the list"), "see the list");
    }
}
