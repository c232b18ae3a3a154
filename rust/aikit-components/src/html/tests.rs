//! Pages as they are found: ordinary, broken, hostile.

use super::*;

const PAGE: &str = r##"<!doctype html><html lang="en"><head><meta charset="utf-8">
<title> A  page </title><meta name="description" content="What it says">
<meta property="og:type" content="article"><link rel="canonical" href="/a">
<style>p { color: red }</style></head>
<body><header><h1>Site</h1></header><nav><a href="/home">Home</a></nav>
<main><header><h2 id="top">First<a class="headerlink" href="#top">¶</a></h2></header>
<p>One <b>bold</b> word and <a href="../b?x=1#y">a link</a>.</p>
<ul><li>un</li><li>deux</li></ul>
<pre><code class="language-python">def f():
    return 1 &lt; 2
</code></pre>
<table><thead><tr><th>n</th><th>v</th></tr></thead><tbody><tr><td>a</td><td>1</td></tr></tbody></table>
<script>alert("no")</script><a href="javascript:alert(1)">run</a>
<aside>aside</aside></main><footer>foot</footer></body></html>"##;

fn page() -> Page {
    let address = Url::parse("https://example.org/docs/guide/").unwrap();
    Page::parse(PAGE, Some(&address))
}

#[test]
fn a_page_says_what_it_is() {
    let page = page();
    assert_eq!(page.title().as_deref(), Some("A page"));
    let metadata = page.metadata();
    let found: Vec<_> = metadata.iter().map(|(name, it)| (&**name, &**it)).collect();
    assert_eq!(
        found,
        [
            ("canonical", "https://example.org/a"),
            ("description", "What it says"),
            ("language", "en"),
            ("og:type", "article"),
        ]
    );
}

#[test]
fn its_content_is_markdown_without_what_stands_around_it() {
    let expected = "## First\n\nOne **bold** word and \
                    [a link](https://example.org/docs/b?x=1#y).\n\n- un\n- deux\n\n\
                    ```python\ndef f():\n    return 1 < 2\n```\n\n\
                    | n | v |\n| - | - |\n| a | 1 |\n\nrun";
    assert_eq!(page().main().to_markdown(), expected);
}

#[test]
fn its_content_is_text_a_line_a_block() {
    let expected = "First\nOne bold word and a link.\nun\ndeux\ndef f():\n    return 1 < 2\n\
                    n\tv\na\t1\nrun";
    assert_eq!(page().main().to_text(), expected);
}

#[test]
fn clean_html_has_no_script_no_style_and_no_code_in_links() {
    let html = page().whole().to_html();
    for unwanted in ["script", "alert", "style", "class=\"headerlink\""] {
        assert!(!html.contains(unwanted), "{unwanted}: {html}");
    }
    assert!(
        html.contains("<a href=\"https://example.org/home\">Home</a>"),
        "{html}"
    );
}

#[test]
fn links_and_headings_are_listed() {
    let page = page();
    let main = page.main();
    let links: Vec<_> = main
        .links()
        .into_iter()
        .map(|it| (it.text, it.url))
        .collect();
    let link = (
        "a link".to_owned(),
        "https://example.org/docs/b?x=1#y".to_owned(),
    );
    assert_eq!(links, [link]);
    let heading = Heading {
        level: 2,
        text: "First".to_owned(),
        id: Some("top".to_owned()),
    };
    assert_eq!(main.headings(), [heading]);
}

#[test]
fn a_selector_finds_each_part_once() {
    let page = page();
    assert_eq!(page.select("main, main p, li").unwrap().parts.len(), 1);
    assert_eq!(page.select("li").unwrap().to_text(), "un\ndeux");
    assert!(page.select("#missing").unwrap().is_empty());
    for wrong in ["", "p[", "::nonsense(", &"p".repeat(2000)] {
        let error = page.select(wrong).unwrap_err();
        assert!(error.message().contains("`selector`"), "{error}");
    }
}

#[test]
fn the_content_is_found_where_no_element_names_it() {
    for (html, expected) in [
        ("<p>alone", "alone"),
        ("<nav>menu</nav><p>text</p><footer>foot</footer>", "text"),
        ("<nav>only a menu</nav>", "only a menu"),
        ("<article>a</article><article>b</article>", "a\nb"),
        ("<main></main><p>beside", "beside"),
        ("<main>m<main>n</main></main>", "m\nn"),
        ("<div role=main>r</div><p>beside", "r"),
        ("", ""),
        ("plain text & more", "plain text & more"),
    ] {
        assert_eq!(Page::parse(html, None).main().to_text(), expected, "{html}");
    }
}

#[test]
fn broken_markup_is_repaired() {
    for (html, expected) in [
        ("<p>a<p>b", "a\n\nb"),
        ("<table><tr><td>x", "x"),
        ("<ul><li>a<li>b</ul>", "- a\n- b"),
        ("a < b &amp; c &nosuch; <", "a < b & c &nosuch; <"),
        ("<a href='x y\">q</a>", ""),
    ] {
        let markdown = Page::parse(html, None).main().to_markdown();
        let markdown = markdown.replace("&lt;", "<").replace("&amp;", "&");
        assert_eq!(markdown, expected, "{html}");
    }
}

#[test]
fn a_base_element_moves_relative_links() {
    let address = Url::parse("https://example.org/a/").unwrap();
    for (base, expected) in [
        ("/b/", "https://example.org/b/x"),
        ("https://other.example/", "https://other.example/x"),
        ("http://[bad", "https://example.org/a/x"),
    ] {
        let html = format!("<head><base href='{base}'></head><a href=x>x</a>");
        let links = Page::parse(&html, Some(&address)).whole().links();
        assert_eq!(links[0].url, expected, "{base}");
    }
    assert_eq!(
        Page::parse("<a href=x>x</a>", None).whole().links()[0].url,
        "x"
    );
}

#[test]
fn bytes_are_decoded_as_browsers_do() {
    let latin = b"<p>caf\xe9</p>";
    let meta = b"<meta charset=\"iso-8859-1\"><p>caf\xe9";
    let older = b"<META http-equiv=content-type content='text/html; charset=windows-1252'>caf\xe9";
    let wide = b"\xff\xfec\0a\0f\0\xe9\0";
    for (bytes, header) in [
        (&latin[..], Some("text/html; Charset=\"latin1\"")),
        (meta, None),
        (meta, Some("text/html")),
        (older, None),
        (wide, Some("text/html; charset=utf-8")),
        ("<p>café".as_bytes(), None),
        ("<meta charset=utf-16>café".as_bytes(), None),
        (latin, None),
        (latin, Some("text/html; charset=nosuch")),
    ] {
        let text = decode(bytes, header);
        assert!(text.contains("café"), "{text} {header:?}");
    }
}

#[test]
fn hostile_pages_cost_little_and_keep_their_text() {
    let many = 200_000;
    let pages = [
        ("nested", "<div>".repeat(many) + "deep"),
        ("formatting", "<b>".repeat(many) + "deep"),
        ("fonts", "<font color=a>".repeat(many) + "deep"),
        ("lists", "<ul><li>".repeat(many) + "deep"),
        ("tables", "<table><tr><td>".repeat(many / 4) + "deep"),
        ("self-closing", "<div/>".repeat(many) + "deep"),
        ("foreign", "<svg><div/>".repeat(many) + "deep"),
        (
            "attributes",
            format!(
                "<p{}>deep</p>",
                (0..many).fold(String::new(), |all, it| all + " a" + &it.to_string())
            ),
        ),
        ("unclosed", "<p".repeat(many) + ">deep"),
        ("open", "<".repeat(many) + " deep"),
        ("comments", "<!--".repeat(many) + "--><p>deep"),
        ("links", "<a href=x>".repeat(many) + "deep"),
        ("ends", "</div>".repeat(many) + "deep"),
    ];
    for (name, html) in pages {
        let page = Page::parse(&html, None);
        let content = page.main();
        assert!(content.to_text().contains("deep"), "{name}");
        assert!(content.to_markdown().contains("deep"), "{name}");
    }
}

#[test]
fn ordinary_pages_are_parsed_as_they_are() {
    let page = format!("{PAGE}{}", "<p>a</p><br><img src=x><li>b".repeat(2000));
    assert!(matches!(
        flatten::flatten(&page),
        std::borrow::Cow::Borrowed(_)
    ));
    let raw = "<script>if (a < b) '<div>'</script>".to_owned() + &"<i>x</i>".repeat(2000);
    assert!(matches!(
        flatten::flatten(&raw),
        std::borrow::Cow::Borrowed(_)
    ));
}

#[test]
fn what_a_style_hides_is_not_read() {
    let text = "<p>seen</p><p style='color: red; Display : none'>hidden</p>\
                <div style=\"visibility:hidden\"><b>hidden</b></div><p style='display:block'>too</p>";
    let page = Page::parse(text, None);
    assert_eq!(page.whole().to_text(), "seen\ntoo");
}
