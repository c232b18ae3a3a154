//! The tree in lines of characters.

use super::{Row, Tree};

/// Deepest level that is drawn; what is below stands there as well.
const LEVELS_MAX: usize = 30;

pub(super) fn draw(tree: &Tree) -> String {
    if tree.rows.is_empty() && tree.left_out == 0 {
        return "no executions".to_owned();
    }
    let mut lines: Vec<String> = Vec::new();
    let branches = branches(&tree.rows);
    let width = |(row, branch): (&Row, &String)| branch.chars().count() + row.name.chars().count();
    let widest = tree
        .rows
        .iter()
        .zip(&branches)
        .map(width)
        .max()
        .unwrap_or(0);
    for (row, branch) in tree.rows.iter().zip(&branches) {
        let space = widest - width((row, branch));
        let (sign, name, facts) = (row.sign(), &row.name, row.facts());
        let line = format!("{branch}{sign} {name}{:space$}  {facts}", "");
        lines.push(line.trim_end().to_owned());
        if let Some(error) = &row.error {
            let below = branch.replace("├─ ", "│  ").replace("└─ ", "   ");
            lines.push(format!("{below}    {error}"));
        }
    }
    lines.extend(tree.more());
    lines.join("\n")
}

/// What stands before each row: `│  ├─ `.
fn branches(rows: &[Row]) -> Vec<String> {
    let mut branches = vec![String::new(); rows.len()];
    // Whether a row of that level follows, before one that is further out.
    let mut goes_on = [false; LEVELS_MAX + 1];
    for (row, branch) in rows.iter().zip(&mut branches).rev() {
        let level = row.level.min(LEVELS_MAX);
        for goes_on in goes_on.iter().take(level).skip(1) {
            branch.push_str(if *goes_on { "│  " } else { "   " });
        }
        if level > 0 {
            branch.push_str(if goes_on[level] { "├─ " } else { "└─ " });
        }
        goes_on[level] = true;
        for deeper in &mut goes_on[level + 1..] {
            *deeper = false;
        }
    }
    branches
}
