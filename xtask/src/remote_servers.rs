//! Do remotes work with real servers? moto's server of S3 is installed into a virtual environment
//! below `target/`. Redis and nginx come from the system; what is not there is left out, and the
//! summary says so.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command::{Failure, Outcome, cargo, command, root, run};

/// The release of moto that serves S3.
const MOTO: &str = "moto[server]==5.2.5";

/// A server that the system may have.
pub struct Server {
    pub name: &'static str,
    /// The variable that tells the tests where it is.
    variable: &'static str,
    /// Where it usually is.
    paths: &'static [&'static str],
    /// How to get it.
    pub advice: &'static str,
    /// The beginning of the names of its tests.
    tests: &'static str,
}

/// The servers that the system may have.
pub const SYSTEM: [Server; 3] = [
    Server {
        name: "Redis",
        variable: "PREHEAT_TEST_REDIS",
        paths: &[
            "/usr/bin/redis-server",
            "/usr/local/bin/redis-server",
            "/opt/homebrew/bin/redis-server",
        ],
        advice: "`apt install redis-server`, `brew install redis`",
        tests: "redis_",
    },
    Server {
        name: "nginx",
        variable: "PREHEAT_TEST_NGINX",
        paths: &["/usr/sbin/nginx", "/usr/local/bin/nginx", "/opt/homebrew/bin/nginx"],
        advice: "`apt install nginx-light`, `brew install nginx`",
        tests: "nginx_with_its_own",
    },
    Server {
        name: "nginx's module for WebDAV listings",
        variable: "PREHEAT_TEST_NGINX_DAV_EXT",
        paths: &["/usr/lib/nginx/modules/ngx_http_dav_ext_module.so"],
        advice: "`apt install libnginx-mod-http-dav-ext`",
        tests: "nginx_with_listings",
    },
];

impl Server {
    /// The server: the file that its variable names, or one of the usual places.
    pub fn path(&self) -> Option<PathBuf> {
        let named = std::env::var_os(self.variable).map(PathBuf::from);
        named.or_else(|| {
            let usual = self.paths.iter().map(PathBuf::from);
            usual.into_iter().find(|path| path.is_file())
        })
    }
}

fn folder() -> PathBuf {
    root().join("target").join("remote-servers")
}

/// Installs moto, unless the same release is there already.
pub fn install_moto() -> Outcome {
    let (mark, wanted) = (folder().join("installed"), MOTO);
    if std::fs::read_to_string(&mark).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    let mut make = command("python3", ["-m", "venv", "--clear"]);
    make.arg(folder());
    run(&mut make)?;
    let pip = folder().join("bin").join("pip");
    run(&mut command(pip, ["install", "--quiet", "--disable-pip-version-check", wanted]))?;
    std::fs::write(&mark, wanted).map_err(Failure::context(mark.display().to_string()))
}

/// The tests of the servers that are here.
pub fn tests(arguments: &[String]) -> Command {
    let mut tests = cargo(["test", "--package", "preheat-remote", "--test", "servers", "--"]);
    tests.args(arguments).env("PREHEAT_TEST_MOTO", moto(&folder()));
    // The library signs requests with these, and moto accepts any.
    tests.envs([("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test")]);
    tests.env_remove("AWS_ENDPOINT_URL");
    for server in &SYSTEM {
        match server.path() {
            Some(path) => _ = tests.env(server.variable, path),
            None => _ = tests.args(["--skip", server.tests]),
        }
    }
    tests
}

fn moto(folder: &Path) -> PathBuf {
    folder.join("bin").join("moto_server")
}
