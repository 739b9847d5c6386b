//! `slurm/install-alliance.sh` with stand-ins for the cluster: which tch it takes for which torch wheel, and what it refuses.

#[path = "support/runs.rs"]
#[expect(dead_code, reason = "shared with other tests")]
mod runs;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use bioscan_hpc::config::Cluster;

/// A cluster of stand-ins: `module`, `virtualenv`, a wheelhouse, `cargo`, and a checkout to build.
struct Login {
    root: tempfile::TempDir,
}

/// Makes an environment whose pip knows the wheels in `$WHEELS` and whose python tells which was installed.
const VIRTUALENV: &str = r#"
for folder; do :; done
mkdir -p "$folder/bin"
echo "PATH=$folder/bin:\$PATH" >"$folder/bin/activate"
cat >"$folder/bin/pip" <<'PIP'
#!/bin/bash
for wish; do :; done
wish=${wish#torch==}
for wheel in $WHEELS; do
    case $wheel in ${wish%.\*}|${wish%\*}*) echo "$wheel+computecanada" >"$(dirname "$0")/installed"; exit 0 ;; esac
done
echo "no matching distribution for $wish" >&2
exit 1
PIP
cat >"$folder/bin/python" <<'PYTHON'
#!/bin/bash
cat "$(dirname "$0")/installed"
PYTHON
chmod +x "$folder/bin/pip" "$folder/bin/python""#;

/// Notes how it was called and what the manifest says, and "builds" a program whose `doctor` ends as `$DOCTOR` says.
const CARGO: &str = r#"
{ echo "cargo $*"; echo "in $PWD"; grep -E '^(tch|torch-sys|torch) = ' Cargo.toml; echo "bypass=${LIBTORCH_BYPASS_VERSION_CHECK-}"; } >"$ROOT/build"
mkdir -p "$CARGO_TARGET_DIR/release"
printf '#!/bin/bash\necho "$@" >>"$ROOT/program"\nexit ${DOCTOR:-0}\n' >"$CARGO_TARGET_DIR/release/bioscan-hpc"
chmod +x "$CARGO_TARGET_DIR/release/bioscan-hpc""#;

impl Login {
    fn new() -> Self {
        let login = Self { root: tempfile::tempdir().unwrap() };
        for folder in ["bin", "checkout/slurm", "home"] {
            fs::create_dir_all(login.at(folder)).unwrap();
        }
        fs::copy("slurm/install-alliance.sh", login.at("checkout/slurm/install-alliance.sh")).unwrap();
        fs::copy("Cargo.toml", login.at("checkout/Cargo.toml")).unwrap();
        runs::script(&login.at("bin/module"), "echo \"$*\" >>\"$ROOT/modules\"\n[[ $* != \"load nasm\" ]]");
        runs::script(&login.at("bin/virtualenv"), VIRTUALENV);
        runs::script(&login.at("bin/cargo"), CARGO);
        for name in ["mpicc", "cmake", "nasm"] {
            runs::script(&login.at("bin").join(name), "true");
        }
        login
    }

    fn at(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }

    fn command(&self, wheels: &str) -> Command {
        let mut command = Command::new("bash");
        command
            .arg(self.at("checkout/slurm/install-alliance.sh"))
            .env_clear()
            .env("ROOT", self.root.path())
            .env("WHEELS", wheels);
        command.env("PATH", format!("{}:/usr/bin:/bin", self.at("bin").display())).env("HOME", self.at("home"));
        command
    }

    fn install(&self, wheels: &str) -> Output {
        self.command(wheels).output().unwrap()
    }

    fn built(&self) -> String {
        fs::read_to_string(self.at("build")).unwrap_or_default()
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn pin() -> (String, String) {
    let manifest = fs::read_to_string("Cargo.toml").unwrap();
    let after =
        |start: &str| manifest.lines().find_map(|line| line.strip_prefix(start)?.split('"').next().map(str::to_owned)).unwrap();
    (after("torch = \""), after("tch = { version = \"="))
}

#[test]
fn the_pair_that_is_pinned_is_built_in_the_checkout_with_its_lock_file_and_checked() {
    let (login, (torch, tch)) = (Login::new(), pin());
    let output = login.install(&format!("2.9.0 {torch} 2.10.0"));
    assert!(output.status.success(), "{}", said(&output));
    let built = login.built();
    assert!(built.starts_with("cargo build --release --locked\n"), "{built}");
    assert!(built.contains(&format!("in {}", login.at("checkout").canonicalize().unwrap().display())), "{built}");
    assert!(built.contains(&format!("tch = {{ version = \"={tch}\"")) && built.ends_with("bypass=\n"), "{built}");
    assert_eq!(fs::read_to_string(login.at("program")).unwrap(), "doctor\n");
    let program = login.at("home/bioscan-hpc/bin/bioscan-hpc");
    assert_eq!(fs::metadata(program).unwrap().permissions().mode() & 0o777, 0o755);
    assert!(said(&output).contains(&format!("torch {torch}, tch {tch}")), "{}", said(&output));
    // A module that does not exist under its name is told, and does not stop what has its program.
    assert!(said(&output).contains("no module nasm here"), "{}", said(&output));
}

#[test]
fn another_wheel_changes_both_crates_and_the_pin_in_a_copy_alone() {
    let login = Login::new();
    let output = login.install("2.10.0");
    assert!(output.status.success(), "{}", said(&output));
    let built = login.built();
    assert!(built.starts_with("cargo build --release\n") && built.contains("source-torch-2.10.0"), "{built}");
    for line in ["tch = { version = \"=0.23.0\"", "torch-sys = { version = \"=0.23.0\"", "torch = \"2.10.0\""] {
        assert!(built.contains(line), "{line} is not in\n{built}");
    }
    assert!(said(&output).contains("no test of this project ran on that pair"));
    assert_eq!(fs::read(login.at("checkout/Cargo.toml")).unwrap(), fs::read("Cargo.toml").unwrap());
}

#[test]
fn a_patch_release_is_taken_aloud_and_the_crate_told_not_to_mind() {
    let login = Login::new();
    let output = login.install("2.10.1");
    assert!(output.status.success(), "{}", said(&output));
    assert!(login.built().contains("torch = \"2.10.1\"") && login.built().ends_with("bypass=1\n"), "{}", login.built());
    assert!(said(&output).contains("torch 2.10.1 is a patch release of the one that tch 0.23.0 is made for"));
}

#[test]
fn a_wheel_without_a_known_tch_is_refused_before_anything_is_built() {
    let login = Login::new();
    let none = login.install("2.6.0 2.12.0");
    assert_eq!((none.status.code(), login.built()), (Some(6), String::new()));
    assert!(said(&none).contains("no torch that a tch is known for"), "{}", said(&none));
    // Even where it is asked for by name.
    let asked = login.command("2.12.0").env("TORCH", "2.12").output().unwrap();
    assert_eq!((asked.status.code(), login.built()), (Some(6), String::new()));
    assert!(said(&asked).contains("no tch is known for torch 2.12.0"), "{}", said(&asked));
}

#[test]
fn what_the_doctor_finds_wrong_ends_the_installation_with_6() {
    let login = Login::new();
    let output = login.command("2.11.0").env("DOCTOR", "5").output().unwrap();
    assert_eq!(output.status.code(), Some(6));
    assert!(said(&output).contains("says above what is wrong"));
}

#[test]
fn a_missing_compiler_and_a_compute_node_are_told() {
    let login = Login::new();
    fs::remove_file(login.at("bin/cargo")).unwrap();
    let output = login.install("2.11.0");
    assert_eq!(output.status.code(), Some(6));
    assert!(said(&output).contains("`cargo` is missing"), "{}", said(&output));
    let inside = login.command("2.11.0").env("SLURM_JOB_ID", "7").output().unwrap();
    assert!(said(&inside).contains("build on a login node"), "{}", said(&inside));
}

#[test]
fn the_modules_of_the_jobs_are_those_it_was_built_with() {
    let script = fs::read_to_string("slurm/install-alliance.sh").unwrap();
    let list = script.lines().find_map(|line| line.strip_prefix("modules=(")?.strip_suffix(')')).unwrap();
    for name in Cluster::names().into_iter().filter(|name| name != "local") {
        for module in Cluster::load(&name, None).unwrap().modules {
            assert!(list.split(' ').any(|known| known == module), "{name}: {module} is not among {list}");
        }
    }
}

#[test]
fn the_pairs_of_the_script_are_those_of_the_readme_and_the_first_is_the_pin() {
    let (script, readme) = (fs::read_to_string("slurm/install-alliance.sh").unwrap(), fs::read_to_string("README.md").unwrap());
    let list = script.lines().find_map(|line| line.strip_prefix("pairs=(")?.strip_suffix(')')).unwrap();
    let (torch, tch) = pin();
    assert!(list.starts_with(&format!("{torch}={tch}")), "{list}");
    for pair in list.split(' ') {
        let (torch, tch) = pair.split_once('=').unwrap();
        let row = format!("| {} | {torch} |", tch.trim_end_matches(".0"));
        assert!(readme.replace("**", "").contains(&row), "the README has no row {row}");
    }
}

#[test]
fn the_script_is_clean() {
    let path = Path::new("slurm/install-alliance.sh");
    assert!(Command::new("bash").arg("-n").arg(path).status().unwrap().success());
    match Command::new("shellcheck").arg(path).output() {
        Ok(found) => assert!(found.status.success(), "{}", String::from_utf8_lossy(&found.stdout)),
        Err(_) => eprintln!("SKIPPED: shellcheck is not installed, so the script was not checked by it"),
    }
}
