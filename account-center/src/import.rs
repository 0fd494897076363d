//! Existing users of the bank, brought in from a CSV file. The whole file is checked before anything is written; then chunk after chunk is one transaction, with how
//! far the import is, so that one that was interrupted goes on where it was. Nobody who has an account already is changed.
//!
//! Columns, by the names in the first line: `phone` (E.164); and where the bank has them `customer_ref` (the core's customer: a signed one), `nickname`,
//! `password_hash` (argon2id, PHC string; it has commas, so in quotes), `registered_at` (seconds since 1970 UTC).

use std::collections::HashMap;
use std::hash::BuildHasher as _;
use std::io::Read;
use std::sync::Arc;

use argon2::password_hash::phc::PasswordHash;
use csv::StringRecord;
use serde_json::json;

use crate::context::{Context, Timestamp};
use crate::identity::{Changes, phone_index};
use crate::keys::Keys;
use crate::phone_number::PhoneNumber;
use crate::store::imports::{self, ImportRow};
use crate::store::{Store, StoreError, Tx, accounts};

/// Lines of one transaction.
pub const CHUNK: usize = 200;

/// The most that a hash of another system may cost at each login: 256 MiB, ten passes, sixteen lanes.
const COSTS: [(&str, u32); 3] = [("m", 256 * 1024), ("t", 10), ("p", 16)];

const COLUMNS: [&str; 5] = [
    "phone",
    "customer_ref",
    "nickname",
    "password_hash",
    "registered_at",
];

/// A line that cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Counted from 1, the first line with the names included.
    pub line: u64,
    /// Which column, and what is wrong with it. Never the value: it is a person's.
    pub wrong: String,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}: {}", self.line, self.wrong)
    }
}

/// An import could not go on.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The file cannot be read, or its first line is not as described.
    #[error("the file: {0}")]
    File(String),
    /// The database. What was done before is done; the same command goes on from there.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Somebody else imports the same file at this moment.
    #[error("another process imports the same file")]
    Elsewhere,
}

/// Somebody to bring in.
#[derive(Clone, Debug)]
struct Person {
    line: u64,
    phone: PhoneNumber,
    customer_ref: Option<String>,
    nickname: Option<String>,
    password_hash: Option<String>,
    registered_at: Option<Timestamp>,
}

/// The lines of a file, in order.
struct Lines<R> {
    reader: csv::Reader<R>,
    /// The place of each of [`COLUMNS`].
    places: [Option<usize>; COLUMNS.len()],
    record: StringRecord,
}

impl<R: Read> Lines<R> {
    fn open(input: R) -> Result<Self, ImportError> {
        let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(input);
        let names = reader
            .headers()
            .map_err(|_| ImportError::File("it is not CSV in UTF-8".to_owned()))?
            .clone();
        for (index, name) in names.iter().enumerate() {
            if !COLUMNS.contains(&name) {
                return Err(ImportError::File(format!(
                    "column {} of the first line is none of {}",
                    index + 1,
                    COLUMNS.join(", ")
                )));
            }
            if names.iter().filter(|other| *other == name).count() > 1 {
                return Err(ImportError::File(format!(
                    "the column {name} is there twice"
                )));
            }
        }
        let places = COLUMNS.map(|column| names.iter().position(|name| name == column));
        if places[0].is_none() {
            return Err(ImportError::File(
                "its first line names no column phone".to_owned(),
            ));
        }
        Ok(Self {
            reader,
            places,
            record: StringRecord::new(),
        })
    }

    /// The next line, good or not; nothing after the last.
    fn next(&mut self) -> Option<Result<Person, Fault>> {
        let columns = self.places.iter().flatten().count();
        match self.reader.read_record(&mut self.record) {
            Ok(false) => None,
            Ok(true) => {
                let line = self.record.position().map_or(0, csv::Position::line);
                let fault = |wrong: &str| Fault {
                    line,
                    wrong: wrong.to_owned(),
                };
                Some(if self.record.len() == columns {
                    self.person(line).map_err(&fault)
                } else {
                    Err(fault(
                        "it has another number of columns than the first line",
                    ))
                })
            }
            Err(error) => Some(Err(Fault {
                line: error.position().map_or(0, csv::Position::line),
                wrong: "it is not CSV in UTF-8".to_owned(),
            })),
        }
    }

    fn text(&self, column: usize) -> Option<&str> {
        let text = self.record.get(self.places[column]?)?;
        (!text.is_empty()).then_some(text)
    }

    fn person(&self, line: u64) -> Result<Person, &'static str> {
        let plain = |text: &str, longest: usize| {
            text.chars().count() <= longest && !text.chars().any(char::is_control)
        };
        let customer_ref = self.text(1);
        if customer_ref.is_some_and(|text| !plain(text, 64)) {
            return Err("customer_ref: longer than 64 characters, or control characters");
        }
        let nickname = self.text(2);
        if nickname.is_some_and(|text| !plain(text, 64)) {
            return Err("nickname: longer than 64 characters, or control characters");
        }
        let password_hash = self.text(3);
        if password_hash.is_some_and(|text| !acceptable(text)) {
            return Err(
                "password_hash: not a PHC string of argon2id, or costlier than m=262144,t=10,p=16",
            );
        }
        let registered_at = match self.text(4).map(str::parse::<u32>) {
            None => None,
            Some(Ok(seconds)) => Some(Timestamp::from_seconds(i64::from(seconds))),
            Some(Err(_)) => return Err("registered_at: not seconds since 1970"),
        };
        Ok(Person {
            line,
            phone: PhoneNumber::parse(self.text(0).ok_or("phone: missing")?)
                .map_err(|_| "phone: not a mobile number in E.164, for example +8613800000000")?,
            customer_ref: customer_ref.map(str::to_owned),
            nickname: nickname.map(str::to_owned),
            password_hash: password_hash.map(str::to_owned),
            registered_at,
        })
    }
}

/// A hash that this server can check and that costs no login more than it should.
fn acceptable(phc: &str) -> bool {
    let Ok(parsed) = PasswordHash::new(phc) else {
        return false;
    };
    parsed.algorithm.as_str() == "argon2id"
        && parsed.salt.is_some()
        && parsed.hash.is_some()
        && COSTS.iter().all(|(name, most)| {
            phc.split(['$', ','])
                .find_map(|part| part.strip_prefix(name)?.strip_prefix('='))
                .and_then(|value| value.parse::<u32>().ok())
                .is_some_and(|value| (1..=*most).contains(&value))
        })
}

/// Reads the whole file and says how many lines it has. `fault` hears each that cannot be taken, also one whose number or customer another line has; their number
/// is the second value.
pub fn check(input: impl Read, mut fault: impl FnMut(&Fault)) -> Result<(u64, u64), ImportError> {
    let mut lines = Lines::open(input)?;
    let hasher = std::hash::RandomState::new();
    // Keyed 64-bit hashes instead of the values: ten million lines fit.
    let mut seen: HashMap<u64, u64> = HashMap::new();
    let (mut count, mut faults) = (0, 0);
    while let Some(line) = lines.next() {
        count += 1;
        let mut tell = |wrong: Fault| {
            faults += 1;
            fault(&wrong);
        };
        match line {
            Err(wrong) => tell(wrong),
            Ok(person) => {
                let phone = (0_u8, person.phone.as_str());
                let customer = person.customer_ref.as_deref().map(|name| (1_u8, name));
                for (value, column) in [(Some(phone), "phone"), (customer, "customer_ref")] {
                    let Some(value) = value else { continue };
                    if let Some(first) = seen.insert(hasher.hash_one(value), person.line) {
                        tell(Fault {
                            line: person.line,
                            wrong: format!("{column}: the same as in line {first}"),
                        });
                    }
                }
            }
        }
    }
    Ok((count, faults))
}

/// What an import writes with.
#[derive(Clone, Debug)]
pub struct Importer {
    /// The database.
    pub store: Store,
    /// Seals phone numbers.
    pub keys: Arc<Keys>,
    /// Names accounts.
    pub context: Context,
}

impl Importer {
    /// Brings in the people of a checked file, from where an earlier run of the same file stopped. `passed` hears lines whose person has an account already, which is
    /// left as it is; `progress` how many lines are done. With `dry` nothing is written.
    pub async fn run(
        &self,
        file_hash: &str,
        input: impl Read,
        dry: bool,
        mut passed: impl FnMut(&Fault),
        mut progress: impl FnMut(u64),
    ) -> Result<ImportRow, ImportError> {
        let name = file_hash.to_owned();
        let mut now = self
            .store
            .read(move |tx| {
                let name = name.clone();
                Box::pin(async move { imports::find(tx, &name).await })
            })
            .await?
            .unwrap_or_default();
        if now.finished {
            return Ok(now);
        }
        let mut lines = Lines::open(input)?;
        for _ in 0..now.lines_done {
            lines.next();
        }
        loop {
            let mut chunk = Vec::with_capacity(CHUNK);
            while chunk.len() < CHUNK {
                match lines.next() {
                    Some(Ok(person)) => chunk.push(person),
                    // It was checked; so it was exchanged.
                    Some(Err(wrong)) => {
                        return Err(ImportError::File(format!(
                            "it was changed while it was read: {wrong}"
                        )));
                    }
                    None => break,
                }
            }
            let last = chunk.len() < CHUNK;
            let (next, known) = self.chunk(file_hash, chunk, now, last, dry).await?;
            known.iter().for_each(&mut passed);
            now = next;
            progress(now.lines_done.unsigned_abs());
            if last {
                return Ok(now);
            }
        }
    }

    async fn chunk(
        &self,
        file_hash: &str,
        people: Vec<Person>,
        before: ImportRow,
        last: bool,
        dry: bool,
    ) -> Result<(ImportRow, Vec<Fault>), ImportError> {
        let (importer, people) = (self.clone(), Arc::new(people));
        let file_hash = file_hash.to_owned();
        let done = self
            .store
            .write(move |tx| {
                let (importer, people, file_hash) =
                    (importer.clone(), Arc::clone(&people), file_hash.clone());
                Box::pin(async move {
                    let changes = Changes::now(&importer.keys, &importer.context);
                    let mut known = Vec::new();
                    for person in people.iter() {
                        if let Some(wrong) = importer.bring_in(tx, &changes, person, dry).await? {
                            known.push(Fault {
                                line: person.line,
                                wrong: wrong.to_owned(),
                            });
                        }
                    }
                    let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
                    let next = ImportRow {
                        lines_done: before.lines_done + count(people.len()),
                        imported: before.imported + count(people.len() - known.len()),
                        passed_over: before.passed_over + count(known.len()),
                        finished: last,
                    };
                    let ours = dry
                        || imports::advance(tx, &file_hash, before.lines_done, &next, changes.at)
                            .await?;
                    if ours {
                        Ok(Some((next, known)))
                    } else {
                        // Undoes the chunk: another process has done it.
                        Err(StoreError::LeaseLost)
                    }
                })
            })
            .await;
        match done {
            Ok(Some(done)) => Ok(done),
            Ok(None) | Err(StoreError::LeaseLost) => Err(ImportError::Elsewhere),
            Err(error) => Err(error.into()),
        }
    }

    /// One account, as a registration makes it; or why not.
    async fn bring_in(
        &self,
        tx: &mut Tx,
        changes: &Changes<'_>,
        person: &Person,
        dry: bool,
    ) -> Result<Option<&'static str>, StoreError> {
        let index = phone_index(&self.keys, &person.phone);
        if accounts::by_phone(tx, &index).await?.is_some() {
            return Ok(Some(
                "phone: an account has this number already; it is left as it is",
            ));
        }
        if let Some(customer) = &person.customer_ref
            && accounts::by_customer(tx, customer).await?.is_some()
        {
            return Ok(Some(
                "customer_ref: an account has this customer already; it is left as it is",
            ));
        }
        if dry {
            return Ok(None);
        }
        let user_id = self.context.uuid();
        let since = person.registered_at.unwrap_or(changes.at);
        accounts::insert(tx, &user_id, person.customer_ref.as_deref(), since).await?;
        changes.set_phone(tx, &user_id, &person.phone).await?;
        if let Some(hash) = &person.password_hash {
            accounts::insert_password(tx, &user_id, hash, changes.at).await?;
        }
        if let Some(nickname) = &person.nickname {
            accounts::set_profile(tx, &user_id, Some(nickname), None, changes.at).await?;
        }
        let payload = json!({"signed": person.customer_ref.is_some()});
        changes
            .announce(tx, &user_id, "account.created", payload)
            .await?;
        Ok(None)
    }
}

#[cfg(test)]
mod tests;
