//! A reader of HTML that is as strict as our own pages are: every attribute in double quotes, every element closed.

/// Elements without content.
const VOID: [&str; 5] = ["meta", "link", "input", "img", "br"];

/// An element: its name, its attributes, the text of it and of all that is in it.
#[derive(Debug, Clone, Default)]
pub(super) struct Element {
    pub(super) name: String,
    pub(super) attributes: Vec<(String, String)>,
    pub(super) text: String,
    /// The elements around it, from the outside, by their place in the list of all.
    pub(super) within: Vec<usize>,
}

impl Element {
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn has_class(&self, class: &str) -> bool {
        self.get("class").is_some_and(|classes| classes.split(' ').any(|one| one == class))
    }
}

/// All elements of a page, in their order.
pub(super) fn elements(page: &str) -> Vec<Element> {
    let mut rest = page.strip_prefix("<!DOCTYPE html>").expect("a doctype");
    let mut all: Vec<Element> = Vec::new();
    let mut open: Vec<usize> = Vec::new();
    while let Some(at) = rest.find('<') {
        let text = decoded(&rest[..at]);
        assert!(!rest[..at].contains('>'), "a bare > in {:?}", &rest[..at]);
        for place in &open {
            all[*place].text.push_str(&text);
        }
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('/') {
            let (name, after) = after.split_once('>').expect("a closed end tag");
            let place = open.pop().expect("an element to be closed");
            assert_eq!(all[place].name, name, "elements are nested");
            rest = after;
        } else {
            let (mut element, after) = tag(rest);
            element.within.clone_from(&open);
            if !VOID.contains(&element.name.as_str()) {
                open.push(all.len());
            }
            all.push(element);
            rest = after;
        }
    }
    assert_eq!(open, Vec::<usize>::new(), "every element is closed");
    assert_eq!(rest, "", "nothing after the page");
    all
}

fn tag(text: &str) -> (Element, &str) {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let end = text.find(|c| !word(c)).expect("a closed tag");
    let mut element = Element { name: text[..end].to_owned(), ..Element::default() };
    assert!(!element.name.is_empty(), "a bare < before {:?}", text.chars().take(40).collect::<String>());
    let mut rest = &text[end..];
    loop {
        if let Some(after) = rest.strip_prefix('>') {
            return (element, after);
        }
        rest = rest.strip_prefix(' ').expect("a space before an attribute");
        let end = rest.find(|c| !word(c)).expect("an attribute's end");
        let name = rest[..end].to_owned();
        rest = &rest[end..];
        let mut value = String::new();
        if let Some(after) = rest.strip_prefix("=\"") {
            let (text, after) = after.split_once('"').expect("a closed attribute");
            assert!(!text.contains('<') && !text.contains('>'), "an angle in {text:?}");
            value = decoded(text);
            rest = after;
        }
        assert!(element.get(&name).is_none(), "{name} twice");
        element.attributes.push((name, value));
    }
}

/// Text as it is read. An ampersand that begins nothing known is a fault of ours.
pub(super) fn decoded(text: &str) -> String {
    let mut parts = text.split('&');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (entity, after) = part.split_once(';').expect("a bare &");
        out.push(match entity {
            "lt" => '<',
            "gt" => '>',
            "amp" => '&',
            "quot" => '"',
            other => panic!("&{other};"),
        });
        out.push_str(after);
    }
    out
}
