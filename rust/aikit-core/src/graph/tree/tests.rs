//! Trees of executions: lines, HTML, drawings, bounds.

use super::*;
use crate::{Error, ErrorKind};

fn node(
    graph: &Arc<ProcedureGraph>,
    name: &str,
    parent: Option<&Arc<ProcedureNode>>,
    started: UnixMicros,
) -> Arc<ProcedureNode> {
    graph.register(Arc::from(name), parent.cloned(), started)
}

/// A run with two steps, of which the first one failed in a tool.
fn run() -> (Arc<ProcedureGraph>, Arc<ProcedureNode>) {
    let graph: Arc<ProcedureGraph> = Arc::default();
    let cell = node(&graph, "cell", None, 0);
    let agent = node(&graph, "agent writer", Some(&cell), 1_000);
    let step = node(&graph, "agent step", Some(&agent), 1_000);
    let chat = node(&graph, "chat demo", Some(&step), 1_000);
    chat.metrics.add("usage.input_tokens", 12.0);
    chat.metrics.add("usage.output_tokens", 3.0);
    chat.metrics.add("usage.cost_usd", 0.25);
    chat.metrics.add("<rows>", 7.0);
    chat.complete(2_500);
    let tool = node(&graph, "tool:<b>", Some(&step), 3_000);
    tool.fail(4_000, &Error::new(ErrorKind::ToolFailed, "no <file>"));
    step.complete(1_501_000);
    let last = node(&graph, "agent step", Some(&agent), 1_600_000);
    last.cancel(121_600_000);
    (graph, agent)
}

#[test]
fn lines_show_who_called_whom_and_what_came_of_it() {
    let (graph, _) = run();
    let expected = "\
▸ cell                running
└─ ▸ agent writer     running · 12 → 3 tokens · $0.2500 · <rows> 7
   ├─ ✓ agent step    1.50 s · 12 → 3 tokens · $0.2500 · <rows> 7
   │  ├─ ✓ chat demo  1.5 ms · 12 → 3 tokens · $0.2500 · <rows> 7
   │  └─ ✗ tool:<b>   failed · 1.0 ms
   │         no <file>
   └─ ◌ agent step    cancelled · 2:00 min";
    assert_eq!(Tree::of(&graph).text(), expected);
}

#[test]
fn a_part_of_a_graph_begins_at_its_top() {
    let (graph, agent) = run();
    let tree = Tree::below(&graph, agent.pid);
    assert!(tree.text().starts_with("▸ agent writer"), "{}", tree.text());
    graph.clear();
    assert_eq!(Tree::below(&graph, agent.pid).text(), "no executions");
    assert!(Tree::of(&graph).html().contains("no executions"));
    assert!(Tree::of(&graph).svg().contains("no executions"));
}

#[test]
fn html_holds_texts_and_no_tags_of_them() {
    let (graph, _) = run();
    let html = Tree::of(&graph).html();
    assert!(
        html.contains("tool:&lt;b&gt;") && html.contains("no &lt;file&gt;"),
        "{html}"
    );
    assert!(
        !html.contains("<file>") && !html.contains("<script"),
        "{html}"
    );
    for tag in ["details", "div", "summary", "small", "b"] {
        let count = |text: &str| html.matches(text).count();
        let opened = count(&format!("<{tag}>")) + count(&format!("<{tag} "));
        assert_eq!(opened, count(&format!("</{tag}>")), "{tag}: {html}");
    }
}

#[test]
fn a_drawing_has_a_bar_for_each_execution() {
    let (graph, _) = run();
    let svg = Tree::of(&graph).svg();
    assert_eq!(svg.matches("<rect").count(), 6);
    // From its beginning to its end, in parts of the whole time of 121.6 s.
    assert!(
        svg.contains("<rect x=\"282.9\" y=\"108\" width=\"217.1\""),
        "{svg}"
    );
    assert!(
        svg.contains("tool:&lt;b&gt;") && !svg.contains("<b>"),
        "{svg}"
    );
}

#[test]
fn large_graphs_are_cut_and_deep_ones_do_not_overflow() {
    let graph: Arc<ProcedureGraph> = Arc::default();
    let mut last = None;
    for _ in 0..9_000 {
        last = Some(node(&graph, "deep", last.as_ref(), 0));
    }
    let tree = Tree::of(&graph);
    assert_eq!(tree.text().lines().count(), ROWS_MAX + 1);
    assert!(tree.text().ends_with("… 8500 more executions"));
    assert!(tree.html().contains("… 8500 more executions"));
    assert!(tree.svg().contains("… 8800 more executions"));
    assert!(tree.html().len() < 200_000, "{}", tree.html().len());
    // Those that the graph itself has left out count too.
    for _ in 0..2_000 {
        node(&graph, "more", None, 0).complete(1);
    }
    assert!(Tree::of(&graph).text().ends_with("… 10500 more executions"));
}

#[test]
fn times_are_written_with_three_digits() {
    let cases = [
        (0, "0 µs"),
        (900, "900 µs"),
        (1_000, "1.0 ms"),
        (94_900, "94.9 ms"),
        (250_000, "250 ms"),
        (1_500_000, "1.50 s"),
        (200_000_000, "3:20 min"),
        (-5, "0 µs"),
    ];
    for (micros, expected) in cases {
        assert_eq!(duration(micros), expected);
    }
}
