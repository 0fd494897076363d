//! A PostgreSQL cluster of three nodes with fail-over, as Patroni runs it: etcd, three times Patroni with its PostgreSQL, all on loopback, all as somebody who is not
//! root. Commits wait for a synchronous standby, and without one there are none (`synchronous_mode_strict`): what was acknowledged is on two nodes.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::postgres::{Unprivileged, programs, run};
use crate::servers::guard;
use crate::trouble::{Result, Trouble, unexpected};

/// `initdb`, two base backups, and the first election.
const START_LIMIT: Duration = Duration::from_mins(2);
/// Seconds after which a leader that is silent is none any more.
const TTL: u32 = 10;

/// A process that ends with this value.
#[derive(Debug)]
struct Process {
    child: Child,
    guard: Child,
}

impl Process {
    fn start(command: &mut Command, log: &Path) -> Result<Self> {
        let file = File::options()
            .create(true)
            .append(true)
            .open(log)
            .map_err(Trouble::io(log.display().to_string()))?;
        let err = file.try_clone().map_err(Trouble::io("a log file"))?;
        let child = command
            .stdin(Stdio::null())
            .stdout(file)
            .stderr(err)
            .spawn()
            .map_err(Trouble::io(command.get_program().display().to_string()))?;
        let guard = guard(&child)?;
        Ok(Self { child, guard })
    }

    fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = self.guard.kill();
        let _ = self.guard.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// One node: Patroni, and the PostgreSQL that it starts.
#[derive(Debug)]
struct Node {
    name: String,
    folder: PathBuf,
    api: u16,
    database: u16,
    patroni: Option<Process>,
}

impl Node {
    /// SIGKILL to Patroni first, so that it mends nothing, then to its PostgreSQL.
    fn kill(&mut self) {
        if let Some(mut patroni) = self.patroni.take() {
            patroni.kill();
        }
        let file = self.folder.join("data/postmaster.pid");
        let process = fs::read_to_string(file)
            .ok()
            .and_then(|text| text.lines().next().map(str::to_owned));
        if let Some(process) = process.filter(|process| process.parse::<u32>().is_ok()) {
            let _ = Command::new("sh")
                .args(["-c", "kill -s KILL \"$0\"", &process])
                .stderr(Stdio::null())
                .status();
        }
    }
}

/// The cluster. Dropping it ends everything.
#[derive(Debug)]
pub struct Patroni {
    who: Unprivileged,
    folder: PathBuf,
    password: String,
    etcd: Option<Process>,
    nodes: Vec<Node>,
}

impl Patroni {
    /// Starts the cluster, and waits until all three nodes run and one of them is the synchronous standby.
    pub fn start() -> Result<Self> {
        let who = Unprivileged::find()?;
        let folder = who.folder()?;
        let ports = free_ports(8)?;
        let password = fs::read_to_string("/proc/sys/kernel/random/uuid")
            .map_err(Trouble::io("a random number"))?
            .trim()
            .to_owned();
        let mut cluster = Self {
            who,
            folder: folder.clone(),
            password,
            etcd: None,
            nodes: Vec::new(),
        };
        let (client, peer) = (ports[0], ports[1]);
        let mut etcd = who.command(Path::new("etcd"));
        etcd.args(["--name", "one", "--logger", "zap", "--data-dir"])
            .arg(folder.join("etcd"));
        for (name, port) in [
            ("--listen-client-urls", client),
            ("--advertise-client-urls", client),
            ("--listen-peer-urls", peer),
            ("--initial-advertise-peer-urls", peer),
        ] {
            etcd.arg(name).arg(format!("http://127.0.0.1:{port}"));
        }
        etcd.arg("--initial-cluster")
            .arg(format!("one=http://127.0.0.1:{peer}"));
        cluster.etcd = Some(Process::start(&mut etcd, &folder.join("etcd.log"))?);
        let bin = programs()?;
        for (index, ports) in ports[2..].chunks(2).enumerate() {
            let name = format!("node{index}");
            let home = folder.join(&name);
            run(who
                .command(Path::new("mkdir"))
                .args(["-m", "0700"])
                .arg(&home))?;
            let (api, database) = (ports[0], ports[1]);
            let node = Node {
                name,
                folder: home,
                api,
                database,
                patroni: None,
            };
            let settings = cluster.settings(&node, client, &bin);
            let file = folder.join(format!("{}.json", node.name));
            // YAML takes JSON.
            fs::write(&file, settings.to_string()).map_err(Trouble::io("settings"))?;
            run(Command::new("chmod").arg("0644").arg(&file))?;
            let log = folder.join(format!("{}.log", node.name));
            let mut patroni = who.command(Path::new("patroni"));
            patroni.arg(&file);
            let patroni = Process::start(&mut patroni, &log)?;
            cluster.nodes.push(Node {
                patroni: Some(patroni),
                ..node
            });
        }
        cluster.wait_until_whole()?;
        cluster.sql("postgres", "CREATE ROLE app LOGIN")?;
        cluster.sql(
            "postgres",
            &format!("ALTER ROLE app PASSWORD '{}'", cluster.password),
        )?;
        cluster.sql("postgres", "CREATE DATABASE postern OWNER app")?;
        Ok(cluster)
    }

    fn settings(&self, node: &Node, etcd: u16, bin: &Path) -> Value {
        let password = &self.password;
        serde_json::json!({
            "scope": "postern",
            "name": node.name,
            "restapi": {
                "listen": format!("127.0.0.1:{}", node.api),
                "connect_address": format!("127.0.0.1:{}", node.api),
            },
            "etcd3": {"hosts": [format!("127.0.0.1:{etcd}")]},
            "bootstrap": {
                "dcs": {
                    "ttl": TTL,
                    "loop_wait": 2,
                    "retry_timeout": 4,
                    "synchronous_mode": true,
                    "synchronous_mode_strict": true,
                    "postgresql": {
                        "use_pg_rewind": true,
                        "parameters": {
                            "max_connections": 100,
                            "shared_buffers": "32MB",
                            "wal_level": "replica",
                            "hot_standby": "on",
                            // The test kills processes, not the machine: what the kernel has taken is not lost.
                            "fsync": "off",
                        },
                    },
                },
                "initdb": [{"encoding": "UTF8"}, {"locale": "C"}, "no-sync"],
            },
            "postgresql": {
                "listen": format!("127.0.0.1:{}", node.database),
                "connect_address": format!("127.0.0.1:{}", node.database),
                "data_dir": node.folder.join("data"),
                "bin_dir": bin,
                "pgpass": node.folder.join("pgpass"),
                "authentication": {
                    "superuser": {"username": "postern", "password": password},
                    "replication": {"username": "replicator", "password": password},
                    "rewind": {"username": "rewinder", "password": password},
                },
                "parameters": {"unix_socket_directories": node.folder},
                "basebackup": [{"checkpoint": "fast"}, "no-sync"],
                "pg_hba": [
                    "local all all trust",
                    "host all all 127.0.0.1/32 scram-sha-256",
                    "host replication all 127.0.0.1/32 scram-sha-256",
                ],
            },
        })
    }

    /// What the members say of themselves: Patroni's `/cluster`, from whichever node answers.
    fn members(&self) -> Vec<Value> {
        self.nodes
            .iter()
            .filter(|node| node.patroni.is_some())
            .find_map(|node| {
                let said = http_get(node.api, "/cluster")?;
                let cluster: Value = serde_json::from_str(&said).ok()?;
                Some(cluster["members"].as_array()?.clone())
            })
            .unwrap_or_default()
    }

    fn wait_until_whole(&self) -> Result<()> {
        let start = Instant::now();
        loop {
            let members = self.members();
            let count = |role: &str| {
                members
                    .iter()
                    .filter(|member| {
                        member["role"] == role
                            && matches!(member["state"].as_str(), Some("running" | "streaming"))
                    })
                    .count()
            };
            if count("leader") == 1 && count("sync_standby") == 1 && count("replica") == 1 {
                return Ok(());
            }
            if start.elapsed() > START_LIMIT {
                let log = fs::read_to_string(self.folder.join("node0.log")).unwrap_or_default();
                let end: Vec<&str> = log.lines().rev().take(20).collect();
                return unexpected(format!(
                    "the cluster is not whole: {members:?}; node0 said last: {end:#?}"
                ));
            }
            thread::sleep(Duration::from_millis(200));
        }
    }

    /// The node that Patroni calls primary.
    fn primary(&self) -> Option<usize> {
        self.nodes
            .iter()
            .position(|node| node.patroni.is_some() && http_get(node.api, "/primary").is_some())
    }

    /// Kills the primary and its Patroni (SIGKILL both), and says which node it was.
    pub fn kill_primary(&mut self) -> Result<usize> {
        let Some(primary) = self.primary() else {
            return unexpected("the cluster has no primary");
        };
        self.nodes[primary].kill();
        Ok(primary)
    }

    /// All three nodes, as `[database] url` takes them.
    pub fn url(&self) -> String {
        let hosts: Vec<String> = self
            .nodes
            .iter()
            .map(|node| format!("127.0.0.1:{}", node.database))
            .collect();
        format!(
            "postgres://app:{}@{}/postern?sslmode=disable",
            self.password,
            hosts.join(",")
        )
    }

    /// Runs SQL on the present primary as its superuser: rows as lines, columns apart by `|`.
    pub fn sql(&self, database: &str, sql: &str) -> Result<String> {
        let Some(primary) = self.primary() else {
            return unexpected("the cluster has no primary");
        };
        let node = &self.nodes[primary];
        let mut psql = self.who.command(&programs()?.join("psql"));
        psql.args(["-XAtq", "-U", "postern", "-v", "ON_ERROR_STOP=1", "-h"])
            .arg(&node.folder)
            .args(["-p", &node.database.to_string(), "-d", database, "-c", sql]);
        run(&mut psql)
    }
}

impl Drop for Patroni {
    fn drop(&mut self) {
        for node in &mut self.nodes {
            node.kill();
        }
        self.etcd = None;
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Ports that were free a moment ago, all different.
fn free_ports(count: usize) -> Result<Vec<u16>> {
    let listeners: Vec<TcpListener> = (0..count)
        .map(|_| TcpListener::bind("127.0.0.1:0"))
        .collect::<std::io::Result<_>>()
        .map_err(Trouble::io("a free port"))?;
    listeners
        .iter()
        .map(|listener| Ok(listener.local_addr()?.port()))
        .collect::<std::io::Result<_>>()
        .map_err(Trouble::io("a free port"))
}

/// The body of a 200 from Patroni's API.
fn http_get(port: u16, path: &str) -> Option<String> {
    use std::io::{Read as _, Write as _};
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], port));
    let limit = Duration::from_secs(3);
    let mut stream = std::net::TcpStream::connect_timeout(&address, limit).ok()?;
    stream.set_read_timeout(Some(limit)).ok()?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n").ok()?;
    let mut said = String::new();
    stream.read_to_string(&mut said).ok()?;
    let (head, body) = said.split_once("\r\n\r\n")?;
    head.lines()
        .next()?
        .contains(" 200 ")
        .then(|| body.to_owned())
}
