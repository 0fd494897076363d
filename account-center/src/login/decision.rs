//! What comes next in a login: a pure function of what the person has shown so far and of what the account center and the core know.
//!
//! `decide` performs nothing. The engine asks it after each answer, and again inside the last transaction with facts read there, so that somebody who was
//! quicker (W7) changes the decision and never breaks it.

use serde::{Deserialize, Serialize};

/// An account's user id.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UserId(pub String);

/// The core's reference of ONE customer (L5).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CustomerRef(pub String);

/// Whom the phone number's contract belongs to, by the core (L4, L5).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resolved {
    /// No contract: an unsigned person.
    Nobody,
    /// One signed customer.
    Customer(CustomerRef),
    /// Several: never a choice by the client.
    Several,
}

/// What the person has shown in this login. Each variant has just what exists then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The provider vouches for the identity (L2).
    Identified,
    /// The SMS code was right (L4).
    NumberProved {
        /// Whose contract the number is on.
        resolved: Resolved,
    },
    /// The login password of the number's unsigned account was right (U2).
    AccountProved {
        /// That account.
        user_id: UserId,
        /// The number is on this customer's contract by now, so L5's proof is still due.
        customer: Option<CustomerRef>,
    },
    /// A new login password was given (L6).
    Registered,
    /// Password or card was right at the core (L5, first half).
    CustomerProved {
        /// Whose.
        customer: CustomerRef,
        /// The unsigned account proved before, if there was one.
        account: Option<UserId>,
    },
    /// Face recognition passed for a number that is being bound (L5, second half).
    FacePassed {
        /// Whose.
        customer: CustomerRef,
        /// The unsigned account proved before, if there was one.
        account: Option<UserId>,
    },
    /// Face recognition passed for an identity that was bound before (L7).
    ReturnFacePassed {
        /// Whose.
        customer: CustomerRef,
    },
}

/// What is known of one account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountFacts {
    /// The account.
    pub user_id: UserId,
    /// Its stored customer reference: signed where there is one (L10).
    pub customer: Option<CustomerRef>,
    /// It has a login password of its own.
    pub has_password: bool,
    /// An identity of this provider and platform, other than the one of this login, is bound to it (W3).
    pub has_other_identity: bool,
}

/// What is known at the moment of deciding. Looked up by the identity, by the number, by the customer reference.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The account that the identity is bound to.
    pub by_identity: Option<AccountFacts>,
    /// The account that has the number.
    pub by_number: Option<AccountFacts>,
    /// The account that stores the customer reference.
    pub by_customer: Option<AccountFacts>,
    /// `by_identity` is bound by another open id of the same app: the identity is somebody else's by now, and opens nothing (M5).
    pub contested: bool,
}

/// How a login ends when it succeeds: what the last transaction writes (U1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Completion {
    /// L7: the identity is bound already.
    Return {
        /// To this account.
        user_id: UserId,
        /// The account stores a customer reference (L10).
        signed: bool,
    },
    /// U2: the identity is bound to an account that exists; its number becomes the one proved.
    Join {
        /// That account.
        user_id: UserId,
        /// Its customer reference, stored where it was not.
        customer: Option<CustomerRef>,
    },
    /// U1, L5, L6: account, phone and binding are new.
    Create {
        /// The customer reference that it stores; an unsigned account stores the new login password instead.
        customer: Option<CustomerRef>,
    },
}

/// Why a login ends without success.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// L5: the number is on the contracts of several customers.
    CustomerAmbiguous,
    /// The number belongs to an account that this person cannot be.
    PhoneBoundElsewhere,
    /// W3, U3: another identity of this provider is bound to the account, or this one to another account.
    IdentityBoundElsewhere,
}

/// What comes next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// L4: ask for a phone number.
    Phone,
    /// U2: ask for the login password of an unsigned account.
    AccountPassword {
        /// That account.
        user_id: UserId,
        /// Whose proof comes after it (L5).
        customer: Option<CustomerRef>,
    },
    /// L5: ask for the customer's login password or card.
    CustomerProof {
        /// Whose.
        customer: CustomerRef,
        /// The unsigned account proved before.
        account: Option<UserId>,
    },
    /// L6: ask for a new login password.
    Registration,
    /// L5: face recognition, then the number is bound.
    Face {
        /// Whose.
        customer: CustomerRef,
        /// The unsigned account proved before.
        account: Option<UserId>,
    },
    /// L7: face recognition, then the person is logged in.
    ReturnFace {
        /// Whose.
        customer: CustomerRef,
    },
    /// Nothing is missing.
    Complete(Completion),
    /// The login is over.
    Refuse(Refusal),
}

/// What comes next after `progress`, given `facts`.
pub fn decide(progress: &Progress, facts: &Facts) -> Next {
    if facts.contested {
        return Next::Refuse(Refusal::IdentityBoundElsewhere);
    }
    match &facts.by_identity {
        Some(account) => decide_known(progress, account),
        None => decide_unknown(progress, facts),
    }
}

/// L7: the identity is bound. It may have become so while this login went on; then what was proved meanwhile must not point to another account.
fn decide_known(progress: &Progress, account: &AccountFacts) -> Next {
    let elsewhere = match progress {
        Progress::Identified
        | Progress::NumberProved { .. }
        | Progress::Registered
        | Progress::ReturnFacePassed { .. } => false,
        Progress::AccountProved { user_id, .. } => *user_id != account.user_id,
        Progress::CustomerProved { customer, .. } | Progress::FacePassed { customer, .. } => {
            account.customer.as_ref() != Some(customer)
        }
    };
    if elsewhere {
        return Next::Refuse(Refusal::IdentityBoundElsewhere);
    }
    match &account.customer {
        None => Next::Complete(Completion::Return {
            user_id: account.user_id.clone(),
            signed: false,
        }),
        Some(customer) if face_passed_for(progress, customer) => {
            Next::Complete(Completion::Return {
                user_id: account.user_id.clone(),
                signed: true,
            })
        }
        Some(customer) => Next::ReturnFace {
            customer: customer.clone(),
        },
    }
}

fn face_passed_for(progress: &Progress, customer: &CustomerRef) -> bool {
    match progress {
        Progress::FacePassed {
            customer: passed, ..
        }
        | Progress::ReturnFacePassed { customer: passed } => passed == customer,
        _ => false,
    }
}

/// L3 to L6, U1, U2: the identity is bound to nothing.
fn decide_unknown(progress: &Progress, facts: &Facts) -> Next {
    match progress {
        // A binding that was removed while the face was looked at: as if it had never been (L8).
        Progress::Identified | Progress::ReturnFacePassed { .. } => Next::Phone,
        Progress::NumberProved {
            resolved: Resolved::Several,
        } => Next::Refuse(Refusal::CustomerAmbiguous),
        Progress::NumberProved {
            resolved: Resolved::Nobody,
        } => unsigned(None, facts, false),
        Progress::Registered => unsigned(None, facts, true),
        Progress::AccountProved {
            user_id,
            customer: None,
        } => unsigned(Some(user_id), facts, false),
        Progress::NumberProved {
            resolved: Resolved::Customer(customer),
        } => signed(customer, None, Proof::None, facts),
        Progress::AccountProved {
            user_id,
            customer: Some(customer),
        } => signed(customer, Some(user_id), Proof::None, facts),
        Progress::CustomerProved { customer, account } => {
            signed(customer, account.as_ref(), Proof::Customer, facts)
        }
        Progress::FacePassed { customer, account } => {
            signed(customer, account.as_ref(), Proof::Face, facts)
        }
    }
}

/// The number is on no contract. `proved`: the account whose login password was right.
fn unsigned(proved: Option<&UserId>, facts: &Facts, registered: bool) -> Next {
    match &facts.by_number {
        None if registered => Next::Complete(Completion::Create { customer: None }),
        None => Next::Registration,
        // The account's customer is not who has the number now: the number was recycled, or the contract changed (L5).
        Some(account) if account.customer.is_some() => Next::Refuse(Refusal::PhoneBoundElsewhere),
        Some(account) if proved == Some(&account.user_id) => {
            if account.has_other_identity {
                Next::Refuse(Refusal::IdentityBoundElsewhere)
            } else {
                Next::Complete(Completion::Join {
                    user_id: account.user_id.clone(),
                    customer: None,
                })
            }
        }
        Some(account) => account_password(account, None),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Proof {
    None,
    Customer,
    Face,
}

/// The number resolves to one customer. `proved`: the unsigned account whose login password was right.
fn signed(customer: &CustomerRef, proved: Option<&UserId>, proof: Proof, facts: &Facts) -> Next {
    let target = match &facts.by_number {
        // The number's account, when it stores this customer. Another customer's: the number was recycled.
        Some(account) => match &account.customer {
            Some(stored) if stored == customer => Some(account),
            Some(_) => return Next::Refuse(Refusal::PhoneBoundElsewhere),
            // An account without a contract. The customer has another account: two accounts are not made one here.
            None if facts.by_customer.is_some() => {
                return Next::Refuse(Refusal::PhoneBoundElsewhere);
            }
            // Whoever has the number's contract now need not be whoever made the account: its own password first, then L5's proof.
            None if proved == Some(&account.user_id) => Some(account),
            None => return account_password(account, Some(customer.clone())),
        },
        // A new number on the contract of a customer who has an account already, or no account at all.
        None => facts.by_customer.as_ref(),
    };
    let account = target
        .filter(|account| account.customer.is_none())
        .map(|account| account.user_id.clone());
    if proof != Proof::None && target.is_some_and(|account| account.has_other_identity) {
        return Next::Refuse(Refusal::IdentityBoundElsewhere);
    }
    match (proof, target) {
        (Proof::None, _) => Next::CustomerProof {
            customer: customer.clone(),
            account,
        },
        (Proof::Customer, _) => Next::Face {
            customer: customer.clone(),
            account,
        },
        (Proof::Face, Some(target)) => Next::Complete(Completion::Join {
            user_id: target.user_id.clone(),
            customer: Some(customer.clone()),
        }),
        (Proof::Face, None) => Next::Complete(Completion::Create {
            customer: Some(customer.clone()),
        }),
    }
}

fn account_password(account: &AccountFacts, customer: Option<CustomerRef>) -> Next {
    if account.has_password {
        Next::AccountPassword {
            user_id: account.user_id.clone(),
            customer,
        }
    } else {
        // Nothing by which its owner could be told (U2: never the SMS alone).
        Next::Refuse(Refusal::PhoneBoundElsewhere)
    }
}

#[cfg(test)]
#[path = "decision_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "decision_worlds.rs"]
mod worlds;
