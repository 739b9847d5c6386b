//! Several nodes: network namespaces joined by one cable, an Open MPI daemon in each, and messages over TCP, as between machines.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::launch::{ONE_AT_A_TIME, expect_success, rank_of, under_time_out};

#[test]
fn ranks_on_two_nodes_average_gradients_and_share_statistics_over_the_network() {
    let Some(nodes) = Nodes::new() else {
        println!("SKIPPED: network namespaces need root and `ip netns`, which are not to be had here");
        return;
    };
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    for part in ["even_batch", "batch_norm"] {
        expect_success(&nodes.mpirun(part).output().expect("timeout and ip are there"));
    }
}

/// Two of them, with the addresses 10.77.0.1 and .2; gone with the value.
struct Nodes {
    prefix: String,
    folder: tempfile::TempDir,
}

impl Nodes {
    /// `None` where this machine does not let us.
    fn new() -> Option<Self> {
        let nodes = Self { prefix: format!("bioscan{}-", std::process::id()), folder: tempfile::tempdir().unwrap() };
        let [one, two] = nodes.names();
        let ends = ["netns", &one, "type", "veth", "peer", "name", "cable2", "netns", &two];
        let made = ip(&["netns", "add", &one])
            && ip(&["netns", "add", &two])
            && ip(&[&["link", "add", "cable1"], &ends[..]].concat())
            && [(&one, 1), (&two, 2)].into_iter().all(|(name, number)| {
                let (address, cable) = (format!("10.77.0.{number}/24"), format!("cable{number}"));
                ip(&["-n", name, "addr", "add", &address, "dev", &cable])
                    && ["lo", &cable].into_iter().all(|device| ip(&["-n", name, "link", "set", device, "up"]))
            });
        made.then_some(nodes)
    }

    fn names(&self) -> [String; 2] {
        [1, 2].map(|number| format!("{}{number}", self.prefix))
    }

    /// `mpirun` on the first node, with this in place of `ssh` to reach the second.
    fn mpirun(&self, part: &str) -> Command {
        let agent = self.folder.path().join("agent");
        let script = format!("#!/bin/sh\nhost=$1; shift\nexec ip netns exec {}${{host##*.}} sh -c \"$*\"\n", self.prefix);
        fs::write(&agent, script).unwrap();
        fs::set_permissions(&agent, fs::Permissions::from_mode(0o755)).unwrap();
        let mut command = under_time_out();
        command.args(["ip", "netns", "exec", &self.names()[0], "mpirun", "-H", "10.77.0.1:1,10.77.0.2:1", "-n", "2"]);
        command.args(["--bind-to", "none", "--mca", "btl", "self,tcp", "--mca", "plm_rsh_agent"]).arg(agent);
        for setting in ["btl_tcp_if_include", "oob_tcp_if_include"] {
            command.args(["--mca", setting, "10.77.0.0/24"]);
        }
        rank_of(&mut command, part, self.folder.path());
        command
    }
}

impl Drop for Nodes {
    fn drop(&mut self) {
        for name in self.names() {
            ip(&["netns", "del", &name]);
        }
    }
}

fn ip(arguments: &[&str]) -> bool {
    Command::new("ip").args(arguments).output().is_ok_and(|output| output.status.success())
}
