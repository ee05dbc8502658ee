//! Which wheels does `install` offer? Name, version, digest and sizes, per platform.
//!
//! To move to another version: download its wheel, and enter here its name, size and sha256, and
//! the sizes of its members.

use super::{InstallError, PluginName};

/// One wheel, whose content is pinned by its sha256.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wheel<'a> {
    /// The wheel's distribution, which is the name that pip is given.
    pub distribution: &'a str,
    /// Its version.
    pub version: &'a str,
    /// The wheel's file name.
    pub file: &'a str,
    /// The wheel's sha256, in lower-case hex.
    pub sha256: &'a str,
    /// The wheel's size.
    pub bytes: u64,
    /// The wheel's platform tag, for pip's `--platform`.
    pub platform: &'a str,
    /// The wheel's Python version, for pip's `--python-version`. The library in it works with every
    /// Python, but the wheel's file name contains a version.
    pub python_version: &'a str,
    /// The wheel's ABI tag, for pip's `--abi`; `None` if the wheel is for every Python 3.
    pub abi: Option<&'a str>,
}

/// The wheel of a plugin, and the files that are taken from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pin<'a> {
    /// The plugin that the wheel holds.
    pub name: PluginName,
    /// The wheel.
    pub wheel: Wheel<'a>,
    /// The files to unpack.
    pub members: &'a [Member<'a>],
    /// Platform tags that wheels of other versions have.
    pub other_platforms: &'a [&'a str],
}

/// A file that is taken from a wheel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member<'a> {
    /// Its name in the wheel.
    pub member: &'a str,
    /// Its path in the installed plugin's folder.
    pub file: &'a str,
    /// Its unpacked size.
    pub bytes: u64,
}

impl Wheel<'_> {
    /// The requirement in pip's form.
    pub fn requirement(&self) -> String {
        format!("{}=={}", self.distribution, self.version)
    }
}

impl Pin<'_> {
    /// The total size of the installed files.
    pub fn installed_bytes(&self) -> u64 {
        self.members.iter().map(|member| member.bytes).sum()
    }
}

/// The pin of `name` for the platform that this crate was built for.
pub fn pin(name: PluginName) -> Result<&'static Pin<'static>, InstallError> {
    pin_for(name, std::env::consts::OS, std::env::consts::ARCH)
}

/// The pin of `name` for a platform; `os` and `arch` are spelt as in [`std::env::consts`].
pub fn pin_for(
    name: PluginName,
    os: &str,
    arch: &str,
) -> Result<&'static Pin<'static>, InstallError> {
    match (name, os, arch) {
        (PluginName::XlaCpu, "linux", "x86_64") => Ok(&XLA_CPU_LINUX_X86_64),
        (PluginName::XlaCpu, "linux", "aarch64") => Ok(&XLA_CPU_LINUX_AARCH64),
        (PluginName::Tpu, "linux", "x86_64") => Ok(&TPU_LINUX_X86_64),
        (PluginName::XlaCuda, "linux", _) => Err(InstallError::NotOffered {
            name,
            requirement: "xla-cuda13-pjrt==0.0.1",
            library: "jax_plugins/xla_cuda13/xla_cuda_plugin.so",
        }),
        _ => Err(InstallError::NoWheel { name, os: os.to_owned(), arch: arch.to_owned() }),
    }
}

const XLA_CPU_HEADER: Member<'_> = Member {
    member: "xla_plugins/xla_cpu_pjrt/include/pjrt_c_api.h",
    file: "include/pjrt_c_api.h",
    bytes: 106_019,
};

const XLA_CPU_LINUX_X86_64: Pin<'_> = Pin {
    name: PluginName::XlaCpu,
    wheel: Wheel {
        distribution: "xla-cpu-pjrt",
        version: "0.0.1",
        file: "xla_cpu_pjrt-0.0.1-py3-none-manylinux_2_27_x86_64.whl",
        sha256: "55837b6b7b47daa717f2d9a5a03563ea0ceaa338d06a81a1e2d3f060d960decc",
        bytes: 63_461_052,
        platform: "manylinux_2_27_x86_64",
        python_version: "3.11",
        abi: None,
    },
    members: &[
        Member {
            member: "xla_plugins/xla_cpu_pjrt/xla_cpu_pjrt.so",
            file: "xla_cpu_pjrt.so",
            bytes: 259_284_552,
        },
        XLA_CPU_HEADER,
    ],
    other_platforms: &[],
};

const XLA_CPU_LINUX_AARCH64: Pin<'_> = Pin {
    wheel: Wheel {
        file: "xla_cpu_pjrt-0.0.1-py3-none-manylinux_2_27_aarch64.whl",
        sha256: "8f613be6e891858f40d64f9799319502fff42689661944fc18a6ffd8210b30c9",
        bytes: 49_514_947,
        platform: "manylinux_2_27_aarch64",
        ..XLA_CPU_LINUX_X86_64.wheel
    },
    members: &[
        Member {
            member: "xla_plugins/xla_cpu_pjrt/xla_cpu_pjrt.so",
            file: "xla_cpu_pjrt.so",
            bytes: 200_328_224,
        },
        XLA_CPU_HEADER,
    ],
    ..XLA_CPU_LINUX_X86_64
};

const TPU_LINUX_X86_64: Pin<'_> = Pin {
    name: PluginName::Tpu,
    wheel: Wheel {
        distribution: "libtpu",
        version: "0.0.51",
        file: "libtpu-0.0.51-cp311-cp311-manylinux_2_31_x86_64.whl",
        sha256: "ba67ddbfdbac61c8da1fafc26cd51b93e9fe4d298016e2882eb986b1718cba34",
        bytes: 204_805_508,
        platform: "manylinux_2_31_x86_64",
        python_version: "3.11",
        abi: Some("cp311"),
    },
    members: &[Member { member: "libtpu/libtpu.so", file: "libtpu.so", bytes: 574_812_664 }],
    other_platforms: &["manylinux_2_27_x86_64"],
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pin_is_consistent() {
        for (name, arch) in [
            (PluginName::XlaCpu, "x86_64"),
            (PluginName::XlaCpu, "aarch64"),
            (PluginName::Tpu, "x86_64"),
        ] {
            let pin = pin_for(name, "linux", arch).unwrap();
            assert_eq!(pin.name, name);
            let wheel = pin.wheel;
            assert!(wheel.file.starts_with(&format!(
                "{}-{}-",
                wheel.distribution.replace('-', "_"),
                wheel.version
            )));
            assert!(wheel.file.ends_with(&format!("-{}.whl", wheel.platform)));
            assert!(wheel.platform.ends_with(arch));
            assert!(
                wheel.sha256.len() == 64
                    && wheel.sha256.bytes().all(|byte| b"0123456789abcdef".contains(&byte))
            );
            assert!(pin.members.iter().any(|member| member.file == name.library_file()));
            assert!(pin.installed_bytes() > wheel.bytes);
            if let Some(abi) = wheel.abi {
                assert!(wheel.file.contains(&format!("-{abi}-")), "{}", wheel.file);
            }
        }
    }

    #[test]
    fn what_is_not_pinned_says_what_to_do() {
        let message = pin_for(PluginName::XlaCuda, "linux", "x86_64").unwrap_err().to_string();
        assert!(message.contains("pip install xla-cuda13-pjrt"), "{message}");
        assert!(message.contains("PREHEAT_XLA_CUDA_PLUGIN"), "{message}");
        for (name, os, arch) in [
            (PluginName::XlaCpu, "macos", "aarch64"),
            (PluginName::Tpu, "linux", "aarch64"),
            (PluginName::XlaCuda, "windows", "x86_64"),
        ] {
            let message = pin_for(name, os, arch).unwrap_err().to_string();
            assert!(message.contains(os) && message.contains(arch), "{message}");
            assert!(message.contains(name.variable()), "{message}");
        }
    }
}
