//! Test people: who they are at WeChat, which phone they hold, what they are to the bank.

use serde::{Deserialize, Serialize};

use crate::{
    context::{Randomness, random_digits, random_text},
    core_bank::{Card, Customer},
};

/// What a person is to the bank (L4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// The core does not know the phone number.
    Unsigned,
    /// The phone number belongs to one customer with a card.
    Signed,
    /// The phone number belongs to two customers (L5: `customer_ambiguous`).
    Ambiguous,
}

/// A person as `POST /people` and `GET /people` show them. No Debug: it holds passwords.
#[expect(clippy::struct_field_names, reason = "the README's names")]
#[derive(Clone, Serialize)]
pub(crate) struct Person {
    pub(crate) kind: Kind,
    pub(crate) phone: String,
    /// Their name at WeChat; without it they do not use WeChat.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) wechat_person: Option<String>,
    /// Whether WeChat gives a union id for them (W2, W9).
    pub(crate) union_id: bool,
    pub(crate) nickname: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) customer_reference: Option<String>,
    /// A customer's password at the core; for the unsigned one that they may register with.
    pub(crate) login_password: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) card_number: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) withdrawal_password: Option<String>,
}

/// Everybody, in the order they came.
pub(crate) struct People(Vec<Person>);

impl People {
    /// The handful that the README lists, with values that never change.
    pub(crate) fn at_start() -> (Self, Vec<Customer>) {
        let mut people = Self(Vec::new());
        let mut customers = Vec::new();
        for (kind, key, nickname, number, union_id) in [
            (Kind::Unsigned, "lin", "林晓", 1, true),
            (Kind::Signed, "chen", "陈建国", 2, true),
            (Kind::Ambiguous, "wang", "王芳", 3, true),
            (Kind::Unsigned, "zhao", "赵雷", 4, false),
            (Kind::Signed, "zhou", "Zoë <周敏> & \"Co\"", 5, true),
        ] {
            let parts = Parts {
                phone: format!("+861380000000{number}"),
                wechat_person: Some(key.to_owned()),
                nickname: nickname.to_owned(),
                union_id,
                login_password: format!("{key}-Login-{number}{number}"),
                reference: format!("C100000000{number}"),
                card_number: with_check_digit(&format!("62220200000000000{number}")),
                withdrawal_password: format!("25801{number}"),
            };
            customers.extend(people.add(kind, parts));
        }
        (people, customers)
    }

    /// Somebody new, unlike everybody before.
    pub(crate) fn make(
        &mut self,
        randomness: &dyn Randomness,
        kind: Kind,
        wechat: bool,
        union_id: bool,
    ) -> (Person, Vec<Customer>) {
        let phone = loop {
            let phone = format!("+86138{}", random_digits(randomness, 8));
            if self.0.iter().all(|person| person.phone != phone) {
                break phone;
            }
        };
        let name = random_text(randomness, 9);
        let parts = Parts {
            nickname: format!("测试 {}", &phone[phone.len() - 4..]),
            phone,
            wechat_person: wechat.then(|| format!("p-{name}")),
            union_id,
            login_password: format!("Pw1-{}", random_text(randomness, 9)),
            reference: format!("C{}", random_digits(randomness, 12)),
            card_number: with_check_digit(&format!("622202{}", random_digits(randomness, 12))),
            withdrawal_password: random_digits(randomness, 6),
        };
        let customers = self.add(kind, parts);
        let person = self.0.last().expect("one was added just now").clone();
        (person, customers)
    }

    fn add(&mut self, kind: Kind, parts: Parts) -> Vec<Customer> {
        let signed = kind == Kind::Signed;
        let customers = match kind {
            Kind::Unsigned => Vec::new(),
            Kind::Signed => vec![parts.customer("", &parts.card_number)],
            // The second of two: same phone, another contract with a card of its own.
            Kind::Ambiguous => vec![
                parts.customer("", &parts.card_number),
                parts.customer(
                    "B",
                    &with_check_digit(&format!("9{}", &parts.card_number[1..18])),
                ),
            ],
        };
        let has_card = !customers.is_empty();
        self.0.push(Person {
            kind,
            phone: parts.phone,
            wechat_person: parts.wechat_person,
            union_id: parts.union_id,
            nickname: parts.nickname,
            customer_reference: signed.then_some(parts.reference),
            login_password: parts.login_password,
            card_number: has_card.then_some(parts.card_number),
            withdrawal_password: has_card.then_some(parts.withdrawal_password),
        });
        customers
    }

    pub(crate) fn list(&self) -> &[Person] {
        &self.0
    }

    /// The person of this name at WeChat.
    pub(crate) fn at_wechat(&self, wechat_person: &str) -> Option<&Person> {
        self.0
            .iter()
            .find(|person| person.wechat_person.as_deref() == Some(wechat_person))
    }
}

struct Parts {
    phone: String,
    wechat_person: Option<String>,
    nickname: String,
    union_id: bool,
    login_password: String,
    reference: String,
    card_number: String,
    withdrawal_password: String,
}

impl Parts {
    fn customer(&self, suffix: &str, card_number: &str) -> Customer {
        let card = Card {
            number: card_number.to_owned(),
            withdrawal_password: self.withdrawal_password.clone(),
        };
        Customer::new(
            format!("{}{suffix}", self.reference),
            self.phone.clone(),
            self.login_password.clone(),
            card,
        )
    }
}

/// The number with its Luhn check digit.
fn with_check_digit(number: &str) -> String {
    let sum: u32 = number
        .bytes()
        .rev()
        .enumerate()
        .map(|(place, byte)| {
            let digit = u32::from(byte - b'0');
            match (place % 2, digit * 2) {
                (0, double) if double > 9 => double - 9,
                (0, double) => double,
                _ => digit,
            }
        })
        .sum();
    format!("{number}{}", (10 - sum % 10) % 10)
}

#[cfg(test)]
mod tests {
    use super::{Customer, People, with_check_digit};

    #[test]
    fn card_numbers_pass_the_luhn_check() {
        assert_eq!(with_check_digit("7992739871"), "79927398713");
        assert_eq!(with_check_digit("411111111111111"), "4111111111111111");
    }

    #[test]
    fn l5_an_ambiguous_number_belongs_to_two_customers() {
        let (people, customers) = People::at_start();
        let wang = people.at_wechat("wang").expect("wang exists at the start");
        let references: Vec<_> = customers
            .iter()
            .filter(|customer| customer.phone() == wang.phone)
            .map(Customer::reference)
            .collect();
        assert_eq!(references, ["C1000000003", "C1000000003B"]);
        assert!(wang.customer_reference.is_none());
    }
}
