//! Every progress with every world of two accounts and two customers: what must hold whatever the code says.

use super::*;

use super::tests::{NOBODY, customer, proved, user};

const USERS: [&str; 2] = ["a", "b"];
const CUSTOMERS: [&str; 2] = ["c", "d"];

fn all_progress() -> Vec<Progress> {
    let mut all = vec![
        Progress::Identified,
        Progress::Registered,
        NOBODY,
        Progress::NumberProved {
            resolved: Resolved::Several,
        },
    ];
    for c in CUSTOMERS {
        all.push(proved(c));
        all.push(Progress::ReturnFacePassed {
            customer: customer(c),
        });
        for account in [None, Some(user("a")), Some(user("b"))] {
            all.push(Progress::CustomerProved {
                customer: customer(c),
                account: account.clone(),
            });
            all.push(Progress::FacePassed {
                customer: customer(c),
                account,
            });
        }
    }
    for name in USERS {
        for c in [None, Some(customer("c")), Some(customer("d"))] {
            all.push(Progress::AccountProved {
                user_id: user(name),
                customer: c,
            });
        }
    }
    all
}

fn customer_of(progress: &Progress) -> Option<&CustomerRef> {
    match progress {
        Progress::NumberProved {
            resolved: Resolved::Customer(customer),
        }
        | Progress::CustomerProved { customer, .. }
        | Progress::FacePassed { customer, .. }
        | Progress::ReturnFacePassed { customer } => Some(customer),
        Progress::AccountProved { customer, .. } => customer.as_ref(),
        _ => None,
    }
}

/// Every pair of accounts (or one, or none) with every pointer to them that the constraints allow.
fn all_facts(for_customer: Option<&CustomerRef>) -> Vec<Facts> {
    let variants = |name: &str| -> Vec<AccountFacts> {
        let mut list = Vec::new();
        for stored in [None, Some("c"), Some("d")] {
            for has_password in [false, true] {
                for has_other_identity in [false, true] {
                    list.push(AccountFacts {
                        user_id: user(name),
                        customer: stored.map(customer),
                        has_password,
                        has_other_identity,
                    });
                }
            }
        }
        list
    };
    let (a_list, b_list) = (variants("a"), variants("b"));
    let mut all = Vec::new();
    for a in &a_list {
        for b in &b_list {
            if a.customer.is_some() && a.customer == b.customer {
                continue; // accounts_customer_ref is unique
            }
            let by_customer = for_customer.and_then(|c| {
                [a, b]
                    .into_iter()
                    .find(|account| account.customer.as_ref() == Some(c))
                    .cloned()
            });
            for identity in [None, Some(a), Some(b)] {
                for number in [None, Some(a), Some(b)] {
                    let by_identity = identity.cloned().map(|account| AccountFacts {
                        has_other_identity: false,
                        ..account
                    });
                    all.push(Facts {
                        by_identity,
                        by_number: number.cloned(),
                        by_customer: by_customer.clone(),
                        contested: false,
                    });
                }
            }
        }
    }
    all
}

fn face_customer(progress: &Progress) -> Option<&CustomerRef> {
    match progress {
        Progress::FacePassed { customer, .. } | Progress::ReturnFacePassed { customer } => {
            Some(customer)
        }
        _ => None,
    }
}

fn own_password_proved(progress: &Progress) -> Option<&UserId> {
    match progress {
        Progress::AccountProved { user_id, .. } => Some(user_id),
        Progress::CustomerProved { account, .. } | Progress::FacePassed { account, .. } => {
            account.as_ref()
        }
        _ => None,
    }
}

fn stored_customer<'a>(facts: &'a Facts, user_id: &UserId) -> Option<&'a CustomerRef> {
    [&facts.by_identity, &facts.by_number, &facts.by_customer]
        .into_iter()
        .flatten()
        .find(|account| account.user_id == *user_id)
        .and_then(|account| account.customer.as_ref())
}

#[test]
fn whatever_was_shown_and_whatever_is_known_no_account_is_opened_without_its_proof() {
    let mut judged = 0;
    for progress in all_progress() {
        for facts in all_facts(customer_of(&progress)) {
            judged += 1;
            let next = decide(&progress, &facts);
            let case = || format!("{progress:?} with {facts:?} gave {next:?}");
            match &next {
                Next::Complete(Completion::Return { user_id, signed }) => {
                    let bound = facts
                        .by_identity
                        .as_ref()
                        .expect("L7: only a bound identity returns");
                    assert_eq!(bound.user_id, *user_id, "{}", case());
                    assert_eq!(bound.customer.is_some(), *signed, "{}", case());
                    assert!(
                        !signed || face_customer(&progress) == bound.customer.as_ref(),
                        "L7: {}",
                        case()
                    );
                }
                Next::Complete(Completion::Join { user_id, customer }) => {
                    assert_eq!(facts.by_identity, None, "W3: {}", case());
                    let target = [&facts.by_number, &facts.by_customer]
                        .into_iter()
                        .flatten()
                        .find(|account| account.user_id == *user_id);
                    assert!(
                        !target
                            .expect("an account that was found")
                            .has_other_identity,
                        "W3: {}",
                        case()
                    );
                    if let Some(stored) = stored_customer(&facts, user_id) {
                        assert_eq!(face_customer(&progress), Some(stored), "L5: {}", case());
                        assert_eq!(customer.as_ref(), Some(stored), "L5: {}", case());
                    } else {
                        assert_eq!(
                            own_password_proved(&progress),
                            Some(user_id),
                            "U2: {}",
                            case()
                        );
                        assert_eq!(
                            face_customer(&progress),
                            customer.as_ref(),
                            "L5: {}",
                            case()
                        );
                    }
                    if let Some(number) = &facts.by_number {
                        assert_eq!(
                            number.user_id,
                            *user_id,
                            "U2: a number is never taken from another account: {}",
                            case()
                        );
                    }
                }
                Next::Complete(Completion::Create { customer }) => {
                    assert!(
                        facts.by_identity.is_none() && facts.by_number.is_none(),
                        "U1: {}",
                        case()
                    );
                    assert!(
                        customer.is_none() || facts.by_customer.is_none(),
                        "L5: {}",
                        case()
                    );
                    assert_eq!(
                        face_customer(&progress),
                        customer.as_ref(),
                        "L5: {}",
                        case()
                    );
                    assert!(
                        customer.is_some() || progress == Progress::Registered,
                        "L6: {}",
                        case()
                    );
                }
                Next::Face { customer, .. } => {
                    assert!(
                        matches!(&progress, Progress::CustomerProved { customer: proved, .. } if proved == customer),
                        "L5: {}",
                        case()
                    );
                }
                Next::ReturnFace { customer } => {
                    assert_eq!(
                        facts.by_identity.as_ref().and_then(|a| a.customer.as_ref()),
                        Some(customer),
                        "L7: {}",
                        case()
                    );
                }
                Next::CustomerProof { customer, .. } => {
                    assert_eq!(
                        customer_of(&progress),
                        Some(customer),
                        "L5: ONE reference: {}",
                        case()
                    );
                }
                Next::AccountPassword { user_id, .. } => {
                    assert_eq!(
                        facts.by_number.as_ref().map(|a| &a.user_id),
                        Some(user_id),
                        "U2: {}",
                        case()
                    );
                }
                Next::Phone | Next::Registration | Next::Refuse(_) => {}
            }
        }
    }
    assert!(judged > 20_000, "{judged}");
}

/// The progress after the person has given what was asked for.
fn given(next: Next) -> Result<Progress, Next> {
    Ok(match next {
        Next::AccountPassword { user_id, customer } => {
            Progress::AccountProved { user_id, customer }
        }
        Next::CustomerProof { customer, account } => Progress::CustomerProved { customer, account },
        Next::Registration => Progress::Registered,
        Next::Face { customer, account } => Progress::FacePassed { customer, account },
        Next::ReturnFace { customer } => Progress::ReturnFacePassed { customer },
        end => return Err(end),
    })
}

#[test]
fn from_everywhere_honest_answers_lead_to_an_end_in_at_most_four_more_steps() {
    for start in all_progress() {
        for facts in all_facts(customer_of(&start)) {
            let mut progress = start.clone();
            let mut steps = 0;
            while let Ok(further) = given(decide(&progress, &facts)) {
                progress = further;
                steps += 1;
                assert!(
                    steps <= 4,
                    "{start:?} with {facts:?} goes in circles at {progress:?}"
                );
            }
        }
    }
}
