//! The one kind of XML that WeChat pushes: `<xml>` with flat members. Nothing else of XML is read: no document type, no entity beside the five that XML itself
//! has, no processing instruction, no comment, no attribute.

use std::collections::BTreeMap;

use quick_xml::Reader;
use quick_xml::events::Event;

/// A push has fewer members.
const MEMBERS_LIMIT: usize = 64;

/// Not of that kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the XML of a push")]
pub struct NotAPush;

/// Reads the members. A name that occurs twice is refused: two readers might take two values.
pub fn members(text: &str) -> Result<BTreeMap<String, String>, NotAPush> {
    let mut reader = Reader::from_str(text);
    reader.config_mut().check_end_names = true;
    let mut members = BTreeMap::new();
    let mut open: Option<(String, String)> = None;
    // 0: before `<xml>`; 1: in it; 2: after it.
    let mut place = 0;
    loop {
        match reader.read_event().map_err(|_| NotAPush)? {
            Event::Decl(_) if place == 0 => {}
            Event::Start(start) => {
                if start.attributes().next().is_some() {
                    return Err(NotAPush);
                }
                let name = start.name().as_ref().to_owned();
                match (place, &open) {
                    (0, _) if name == "xml" => place = 1,
                    (1, None) if members.len() < MEMBERS_LIMIT => {
                        open = Some((name, String::new()));
                    }
                    _ => return Err(NotAPush),
                }
            }
            Event::Empty(empty) if place == 1 && open.is_none() => {
                let name = empty.name().as_ref().to_owned();
                keep(&mut members, name, String::new())?;
            }
            Event::End(_) => match open.take() {
                Some((name, value)) => keep(&mut members, name, value)?,
                None => place = 2,
            },
            Event::Text(text) => match &mut open {
                Some((_, value)) => value.push_str(&text.xml10_content()),
                None if text.trim().is_empty() => {}
                None => return Err(NotAPush),
            },
            Event::CData(data) => match &mut open {
                Some((_, value)) => value.push_str(&data.xml10_content()),
                None => return Err(NotAPush),
            },
            Event::GeneralRef(name) => match (&mut open, predefined(&name)) {
                (Some((_, value)), Some(character)) => value.push(character),
                _ => return Err(NotAPush),
            },
            Event::Eof if place == 2 => return Ok(members),
            _ => return Err(NotAPush),
        }
    }
}

fn predefined(name: &str) -> Option<char> {
    match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => None,
    }
}

fn keep(
    members: &mut BTreeMap<String, String>,
    name: String,
    value: String,
) -> Result<(), NotAPush> {
    if members.len() < MEMBERS_LIMIT && members.insert(name, value).is_none() {
        Ok(())
    } else {
        Err(NotAPush)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn members_of_a_push_are_read_with_and_without_cdata() {
        let read = members(
            "<?xml version=\"1.0\"?>\n<xml>\n <Event><![CDATA[user_<x>&]]></Event>\n<CreateTime>17</CreateTime><Empty/><A>a&amp;b</A></xml>\n",
        )
        .unwrap();
        let expected = [
            ("A", "a&b"),
            ("CreateTime", "17"),
            ("Empty", ""),
            ("Event", "user_<x>&"),
        ];
        assert_eq!(
            read.iter()
                .map(|(name, value)| (name.as_str(), value.as_str()))
                .collect::<Vec<_>>(),
            expected
        );
    }

    #[test]
    fn nothing_else_of_xml_is_read() {
        let many: String = (0..65)
            .map(|n| format!("<m{n}>x</m{n}>"))
            .collect::<Vec<_>>()
            .concat();
        for bad in [
            "",
            "<xml>",
            "<xml></xml><xml></xml>",
            "<xml></xml>x",
            "<html></html>",
            "<xml><a>1</a><a>2</a></xml>",
            "<xml><a/><a>2</a></xml>",
            "<xml><a><b>1</b></a></xml>",
            "<xml><a x=\"1\">2</a></xml>",
            "<xml>text<a>1</a></xml>",
            "<xml><a>1</b></xml>",
            "<xml><!-- c --><a>1</a></xml>",
            "<xml><?php x ?><a>1</a></xml>",
            "<!DOCTYPE xml><xml><a>1</a></xml>",
            "<!DOCTYPE x [<!ENTITY e \"boom\">]><xml><a>&e;</a></xml>",
            "<!DOCTYPE x [<!ENTITY e SYSTEM \"file:///etc/passwd\">]><xml><a>&e;</a></xml>",
            "<xml><a>&e;</a></xml>",
            "<xml><a>&#65;</a></xml>",
            &format!("<xml>{many}</xml>"),
        ] {
            assert_eq!(members(bad), Err(NotAPush), "{bad:.60}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in ".{0,200}") {
            let _ = members(&text);
            let _ = members(&format!("<xml><a>{text}</a></xml>"));
        }
    }
}
