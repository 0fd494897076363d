use super::*;

pub(super) fn user(name: &str) -> UserId {
    UserId(name.to_owned())
}

pub(super) fn customer(name: &str) -> CustomerRef {
    CustomerRef(name.to_owned())
}

fn account(name: &str, stored: Option<&str>) -> AccountFacts {
    AccountFacts {
        user_id: user(name),
        customer: stored.map(customer),
        has_password: stored.is_none(),
        has_other_identity: false,
    }
}

fn by_identity(account: AccountFacts) -> Facts {
    Facts {
        by_identity: Some(account),
        ..Facts::default()
    }
}

fn by_number(account: AccountFacts) -> Facts {
    Facts {
        by_number: Some(account),
        ..Facts::default()
    }
}

pub(super) fn proved(name: &str) -> Progress {
    Progress::NumberProved {
        resolved: Resolved::Customer(customer(name)),
    }
}

pub(super) const NOBODY: Progress = Progress::NumberProved {
    resolved: Resolved::Nobody,
};

#[test]
fn l2_l4_an_unknown_identity_is_asked_for_a_phone_number() {
    assert_eq!(
        decide(&Progress::Identified, &Facts::default()),
        Next::Phone
    );
}

#[test]
fn l7_a_returning_unsigned_person_is_logged_in_at_once() {
    let next = decide(&Progress::Identified, &by_identity(account("a", None)));
    assert_eq!(
        next,
        Next::Complete(Completion::Return {
            user_id: user("a"),
            signed: false
        })
    );
}

#[test]
fn l7_signed_customer_passes_face_before_login() {
    let facts = by_identity(account("a", Some("c")));
    assert_eq!(
        decide(&Progress::Identified, &facts),
        Next::ReturnFace {
            customer: customer("c")
        }
    );
    let passed = Progress::ReturnFacePassed {
        customer: customer("c"),
    };
    assert_eq!(
        decide(&passed, &facts),
        Next::Complete(Completion::Return {
            user_id: user("a"),
            signed: true
        })
    );
    let somebody_else = Progress::ReturnFacePassed {
        customer: customer("d"),
    };
    assert_eq!(
        decide(&somebody_else, &facts),
        Next::ReturnFace {
            customer: customer("c")
        }
    );
}

#[test]
fn l6_an_unsigned_person_with_a_new_number_registers() {
    assert_eq!(decide(&NOBODY, &Facts::default()), Next::Registration);
    assert_eq!(
        decide(&Progress::Registered, &Facts::default()),
        Next::Complete(Completion::Create { customer: None })
    );
}

#[test]
fn l5_a_signed_customer_proves_then_shows_the_face_then_is_bound() {
    let c = customer("c");
    let none = Facts::default();
    assert_eq!(
        decide(&proved("c"), &none),
        Next::CustomerProof {
            customer: c.clone(),
            account: None
        }
    );
    let next = decide(
        &Progress::CustomerProved {
            customer: c.clone(),
            account: None,
        },
        &none,
    );
    assert_eq!(
        next,
        Next::Face {
            customer: c.clone(),
            account: None
        }
    );
    let next = decide(
        &Progress::FacePassed {
            customer: c.clone(),
            account: None,
        },
        &none,
    );
    assert_eq!(
        next,
        Next::Complete(Completion::Create { customer: Some(c) })
    );
}

#[test]
fn l5_several_customers_are_never_a_choice() {
    let several = Progress::NumberProved {
        resolved: Resolved::Several,
    };
    for facts in [
        Facts::default(),
        by_number(account("a", None)),
        by_number(account("a", Some("c"))),
    ] {
        assert_eq!(
            decide(&several, &facts),
            Next::Refuse(Refusal::CustomerAmbiguous)
        );
    }
}

#[test]
fn l5_a_recycled_number_opens_nothing_with_the_new_holders_own_card() {
    let facts = by_number(account("victim", Some("victim's")));
    for progress in [
        proved("attacker's"),
        Progress::CustomerProved {
            customer: customer("attacker's"),
            account: None,
        },
        Progress::FacePassed {
            customer: customer("attacker's"),
            account: None,
        },
        NOBODY,
        Progress::Registered,
    ] {
        assert_eq!(
            decide(&progress, &facts),
            Next::Refuse(Refusal::PhoneBoundElsewhere),
            "{progress:?}"
        );
    }
}

#[test]
fn u2_the_sms_alone_never_opens_an_unsigned_account() {
    let facts = by_number(account("a", None));
    assert_eq!(
        decide(&NOBODY, &facts),
        Next::AccountPassword {
            user_id: user("a"),
            customer: None
        }
    );
    let right = Progress::AccountProved {
        user_id: user("a"),
        customer: None,
    };
    assert_eq!(
        decide(&right, &facts),
        Next::Complete(Completion::Join {
            user_id: user("a"),
            customer: None
        })
    );
    let of_another = Progress::AccountProved {
        user_id: user("b"),
        customer: None,
    };
    assert_eq!(
        decide(&of_another, &facts),
        Next::AccountPassword {
            user_id: user("a"),
            customer: None
        }
    );
    let mut without_password = account("a", None);
    without_password.has_password = false;
    assert_eq!(
        decide(&NOBODY, &by_number(without_password)),
        Next::Refuse(Refusal::PhoneBoundElsewhere)
    );
}

#[test]
fn u2_l5_an_unsigned_account_whose_number_came_onto_a_contract_is_proved_by_its_own_password_and_then_as_the_customer()
 {
    let facts = by_number(account("a", None));
    let c = customer("c");
    assert_eq!(
        decide(&proved("c"), &facts),
        Next::AccountPassword {
            user_id: user("a"),
            customer: Some(c.clone())
        }
    );
    let next = decide(
        &Progress::AccountProved {
            user_id: user("a"),
            customer: Some(c.clone()),
        },
        &facts,
    );
    assert_eq!(
        next,
        Next::CustomerProof {
            customer: c.clone(),
            account: Some(user("a"))
        }
    );
    // The new holder of a recycled number, with a contract of their own, proves that contract and nothing else.
    let skipped = Progress::FacePassed {
        customer: c.clone(),
        account: None,
    };
    assert_eq!(
        decide(&skipped, &facts),
        Next::AccountPassword {
            user_id: user("a"),
            customer: Some(c.clone())
        }
    );
    let whole = Progress::FacePassed {
        customer: c.clone(),
        account: Some(user("a")),
    };
    assert_eq!(
        decide(&whole, &facts),
        Next::Complete(Completion::Join {
            user_id: user("a"),
            customer: Some(c)
        })
    );
}

#[test]
fn w3_a_second_wechat_on_an_account_is_refused_once_the_account_is_proved() {
    let mut bound = account("a", None);
    bound.has_other_identity = true;
    assert_eq!(
        decide(&NOBODY, &by_number(bound.clone())),
        Next::AccountPassword {
            user_id: user("a"),
            customer: None
        }
    );
    let next = decide(
        &Progress::AccountProved {
            user_id: user("a"),
            customer: None,
        },
        &by_number(bound),
    );
    assert_eq!(next, Next::Refuse(Refusal::IdentityBoundElsewhere));

    let mut bound = account("a", Some("c"));
    bound.has_other_identity = true;
    let next = decide(
        &Progress::CustomerProved {
            customer: customer("c"),
            account: None,
        },
        &by_number(bound),
    );
    assert_eq!(
        next,
        Next::Refuse(Refusal::IdentityBoundElsewhere),
        "before the face is asked for"
    );
}

#[test]
fn w7_an_identity_that_somebody_bound_meanwhile_logs_in_there() {
    let facts = by_identity(account("a", None));
    for progress in [NOBODY, Progress::Registered, proved("c")] {
        assert_eq!(
            decide(&progress, &facts),
            Next::Complete(Completion::Return {
                user_id: user("a"),
                signed: false
            })
        );
    }
    let other = Progress::AccountProved {
        user_id: user("b"),
        customer: None,
    };
    assert_eq!(
        decide(&other, &facts),
        Next::Refuse(Refusal::IdentityBoundElsewhere)
    );
    let other = Progress::FacePassed {
        customer: customer("c"),
        account: None,
    };
    assert_eq!(
        decide(&other, &facts),
        Next::Refuse(Refusal::IdentityBoundElsewhere)
    );
}

#[test]
fn w7_a_number_that_somebody_bound_meanwhile_must_be_proved() {
    let next = decide(&Progress::Registered, &by_number(account("a", None)));
    assert_eq!(
        next,
        Next::AccountPassword {
            user_id: user("a"),
            customer: None
        }
    );
}

#[test]
fn u4_a_customer_whose_contract_has_a_new_number_gets_their_own_account() {
    let facts = Facts {
        by_customer: Some(account("a", Some("c"))),
        ..Facts::default()
    };
    let next = decide(
        &Progress::FacePassed {
            customer: customer("c"),
            account: None,
        },
        &facts,
    );
    assert_eq!(
        next,
        Next::Complete(Completion::Join {
            user_id: user("a"),
            customer: Some(customer("c"))
        })
    );
    // Two accounts are not made one.
    let facts = Facts {
        by_number: Some(account("b", None)),
        ..facts
    };
    assert_eq!(
        decide(&proved("c"), &facts),
        Next::Refuse(Refusal::PhoneBoundElsewhere)
    );
}
