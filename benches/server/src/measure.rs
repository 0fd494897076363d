//! What the kernel counts for a process and its descendants.

use std::collections::HashMap;
use std::fs;
use std::time::Duration;

use crate::Result;

/// Linux counts a process's time in hundredths of a second for everybody who reads it.
const TICKS_IN_A_SECOND: u64 = 100;

struct Stat {
    parent: u32,
    ticks: u64,
    /// Of children that have ended and were waited for.
    ended: u64,
}

fn stat(pid: u32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is a name in brackets that may hold anything.
    let fields: Vec<&str> = text
        .get(text.rfind(')')? + 2..)?
        .split_whitespace()
        .collect();
    let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
    Some(Stat {
        parent: u32::try_from(number(1)?).ok()?,
        ticks: number(11)? + number(12)?,
        ended: number(13)? + number(14)?,
    })
}

/// User and system time of a process and all its descendants.
pub(crate) fn cpu_time(root: u32) -> Result<Duration> {
    let mut all = HashMap::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        if let Some(pid) = name.to_str().and_then(|name| name.parse::<u32>().ok())
            && let Some(stat) = stat(pid)
        {
            all.insert(pid, stat);
        }
    }
    if !all.contains_key(&root) {
        return Err(format!("process {root} is gone").into());
    }
    let is_ours = |mut pid: u32| {
        // A chain of parents is short; the bound guards against one that changes while it is read.
        for _ in 0..64 {
            if pid == root {
                return true;
            }
            match all.get(&pid) {
                Some(stat) if stat.parent != 0 => pid = stat.parent,
                _ => return false,
            }
        }
        false
    };
    let ticks: u64 = all
        .iter()
        .filter(|(pid, _)| is_ours(**pid))
        .map(|(_, stat)| stat.ticks + stat.ended)
        .sum();
    Ok(Duration::from_millis(ticks * 1000 / TICKS_IN_A_SECOND))
}

/// Resident memory of one process, in bytes.
pub(crate) fn resident(pid: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let kilobytes: u64 = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|rest| rest.split_whitespace().next())
        .ok_or("no VmRSS")?
        .parse()?;
    Ok(kilobytes * 1024)
}

/// The load average of the last minute.
pub(crate) fn load_average() -> String {
    fs::read_to_string("/proc/loadavg")
        .ok()
        .and_then(|text| text.split(' ').next().map(str::to_owned))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn this_process_has_used_time_and_memory_and_a_missing_one_is_an_error() {
        let me = std::process::id();
        let before = cpu_time(me).unwrap();
        let mut sum = 0_u64;
        while cpu_time(me).unwrap() == before {
            sum = sum.wrapping_add(1);
        }
        assert!(cpu_time(me).unwrap() > before);
        assert!(resident(me).unwrap() > 1024 * 1024);
        assert!(cpu_time(u32::MAX).is_err());
    }
}
