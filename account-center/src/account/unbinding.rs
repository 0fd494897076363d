//! U5: whether a provider may be unbound. A pure function of what the account has.

/// What is known of the account.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The providers of its bindings, oldest binding first; a provider may occur several times.
    pub bound: &'a [&'a str],
    /// It has a phone number.
    pub has_phone: bool,
    /// The holder logged in at the provider that is to be unbound within the last minutes.
    pub fresh_login_there: bool,
}

/// What U5 says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may be unbound, and somebody can still enter afterwards.
    Allowed,
    /// Nothing of this provider is bound.
    Unknown,
    /// It is the earliest binding and there is no phone: a fresh login there comes first.
    ProviderLoginFirst,
    /// It is all that the account has: a phone comes first.
    PhoneFirst,
}

/// Whether `provider` may be unbound.
///
/// The earliest is the oldest of the bindings that are there: whoever binds their own provider to somebody else's account cannot remove the one that was
/// there before, because they cannot log in with it.
pub fn judge(provider: &str, facts: Facts<'_>) -> Verdict {
    let Some(earliest) = facts.bound.first() else {
        return Verdict::Unknown;
    };
    if !facts.bound.contains(&provider) {
        return Verdict::Unknown;
    }
    let another = facts.bound.iter().any(|bound| *bound != provider);
    if facts.has_phone {
        Verdict::Allowed
    } else if !another {
        Verdict::PhoneFirst
    } else if *earliest == provider && !facts.fresh_login_there {
        Verdict::ProviderLoginFirst
    } else {
        Verdict::Allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROVIDERS: [&str; 3] = ["wechat", "qq", "alipay"];

    /// Every list of up to three bindings.
    fn lists() -> Vec<Vec<&'static str>> {
        let mut lists = vec![vec![]];
        let mut last = lists.clone();
        for _ in 0..3 {
            last = last
                .iter()
                .flat_map(|list| {
                    PROVIDERS.iter().map(|provider| {
                        let mut longer = list.clone();
                        longer.push(*provider);
                        longer
                    })
                })
                .collect();
            lists.extend(last.clone());
        }
        lists
    }

    #[test]
    fn u5_whatever_is_removed_somebody_can_still_enter() {
        let mut allowed = 0;
        for bound in lists() {
            for provider in PROVIDERS {
                for (has_phone, fresh_login_there) in
                    [(false, false), (false, true), (true, false), (true, true)]
                {
                    let facts = Facts {
                        bound: &bound,
                        has_phone,
                        fresh_login_there,
                    };
                    let verdict = judge(provider, facts);
                    let left = bound.iter().filter(|other| **other != provider).count();
                    assert_eq!(verdict == Verdict::Unknown, !bound.contains(&provider));
                    if verdict == Verdict::Allowed {
                        allowed += 1;
                        assert!(has_phone || left > 0, "{bound:?} {provider}");
                        assert!(
                            has_phone || bound[0] != provider || fresh_login_there,
                            "the earliest went without its holder: {bound:?}"
                        );
                    }
                    assert_eq!(
                        verdict == Verdict::PhoneFirst,
                        bound.contains(&provider) && !has_phone && left == 0
                    );
                }
            }
        }
        assert!(allowed > 50);
    }

    #[test]
    fn u5_the_earliest_needs_a_fresh_login_and_a_later_one_none() {
        let facts = Facts {
            bound: &["wechat", "qq"],
            has_phone: false,
            fresh_login_there: false,
        };
        assert_eq!(judge("wechat", facts), Verdict::ProviderLoginFirst);
        assert_eq!(judge("qq", facts), Verdict::Allowed);
        let fresh = Facts {
            fresh_login_there: true,
            ..facts
        };
        assert_eq!(judge("wechat", fresh), Verdict::Allowed);
    }
}
