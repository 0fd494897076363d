//! A rule: its stage and what belongs to it, as JSON in the database and on the wire.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Visitor, version};
use crate::http::fields::Fields;
use crate::problem::Problem;

/// How far a release has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// Nobody: taken back.
    Off,
    /// The regions of the list.
    Regions,
    /// Those regions, the trial groups, and a percentage of devices.
    Trial,
    /// Everybody.
    #[default]
    All,
}

impl Stage {
    /// The stage of a word.
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "off" => Some(Self::Off),
            "regions" => Some(Self::Regions),
            "trial" => Some(Self::Trial),
            "all" => Some(Self::All),
            _ => None,
        }
    }
}

/// Who is offered a provider in an app.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Rule {
    /// How far the release has come.
    pub stage: Stage,
    /// Administrative codes, as the bank's edge names them.
    pub regions: Vec<String>,
    /// Names of trial groups.
    pub groups: Vec<String>,
    /// Of all devices, in the stage `trial`.
    pub percentage: u32,
    /// The oldest version of the app that is offered it, in every stage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_version: Option<String>,
    /// The newest one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_version: Option<String>,
}

impl Rule {
    /// From the database.
    pub(super) fn of(json: &str) -> Option<Self> {
        serde_json::from_str(json).ok()
    }

    /// From a body.
    pub fn read(body: &mut Fields) -> Result<Self, Problem> {
        let rule = Self {
            stage: body.word("stage", Stage::parse)?,
            regions: body.texts("regions", 500, 32)?,
            groups: body.texts("groups", 20, 64)?,
            percentage: body
                .optional_integer("percentage", 0..=100)?
                .and_then(|number| u32::try_from(number).ok())
                .unwrap_or(0),
            min_version: body.optional_text("min_version", 32)?,
            max_version: body.optional_text("max_version", 32)?,
        };
        for (name, text) in [
            ("min_version", &rule.min_version),
            ("max_version", &rule.max_version),
        ] {
            if text
                .as_deref()
                .is_some_and(|text| version::parse(text).is_none())
            {
                return Err(body.refuse(name, "a version is numbers with points between them"));
            }
        }
        Ok(rule)
    }

    /// Whether this version is within the range. One that is not told or makes no sense is not, where there is a range.
    pub(super) fn takes_version(&self, told: Option<&str>) -> bool {
        if self.min_version.is_none() && self.max_version.is_none() {
            return true;
        }
        let Some(told) = told.and_then(version::parse) else {
            return false;
        };
        let bound = |text: &Option<String>| text.as_deref().and_then(version::parse);
        bound(&self.min_version).is_none_or(|min| version::compare(&told, &min).is_ge())
            && bound(&self.max_version).is_none_or(|max| version::compare(&told, &max).is_le())
    }

    /// Whether the visitor is in one of the regions: by what the edge says, and not against what the client says.
    pub(super) fn takes_region(&self, visitor: &Visitor) -> bool {
        let listed = |region: &String| self.regions.contains(region);
        visitor.region.as_ref().is_some_and(listed)
            && visitor.client.region.as_ref().is_none_or(listed)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::rollout::ClientFacts;

    fn visitor(edge: Option<&str>, client: Option<&str>) -> Visitor {
        Visitor {
            region: edge.map(str::to_owned),
            client: ClientFacts {
                region: client.map(str::to_owned),
                ..ClientFacts::default()
            },
            ..Visitor::default()
        }
    }

    #[test]
    fn l12_the_clients_region_only_narrows_what_the_edge_says() {
        let rule = Rule {
            regions: vec!["CN-GD".to_owned(), "CN-HI".to_owned()],
            ..Rule::default()
        };
        for (edge, client, taken) in [
            (Some("CN-GD"), None, true),
            (Some("CN-GD"), Some("CN-HI"), true),
            (Some("CN-GD"), Some("CN-BJ"), false),
            (Some("CN-BJ"), Some("CN-GD"), false),
            (None, Some("CN-GD"), false),
            (None, None, false),
        ] {
            assert_eq!(
                rule.takes_region(&visitor(edge, client)),
                taken,
                "{edge:?} {client:?}"
            );
        }
    }

    #[test]
    fn l12_a_range_of_versions_has_both_its_ends() {
        let rule = Rule {
            min_version: Some("8.9".to_owned()),
            max_version: Some("8.12".to_owned()),
            ..Rule::default()
        };
        for (told, taken) in [
            (Some("8.9.0"), true),
            (Some("8.10"), true),
            (Some("8.12"), true),
            (Some("8.12.1"), false),
            (Some("8.8"), false),
            (Some("new"), false),
            (None, false),
        ] {
            assert_eq!(rule.takes_version(told), taken, "{told:?}");
        }
        assert!(Rule::default().takes_version(None));
    }

    #[test]
    fn a_rule_survives_the_database() {
        let body = br#"{"stage":"trial","regions":["CN-GD"],"groups":["pilot"],"percentage":5,"min_version":"8.9"}"#;
        let mut fields = Fields::of(body).unwrap();
        let rule = Rule::read(&mut fields).unwrap();
        fields.end().unwrap();
        let text = serde_json::to_string(&rule).unwrap();
        assert_eq!(Rule::of(&text).unwrap(), rule);
        assert_eq!(Rule::of("{\"stage\":\"most\"}"), None);
    }
}
