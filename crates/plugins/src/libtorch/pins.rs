//! Which wheels is a libtorch made of? Name, version, digest and size, per platform.
//!
//! To move to another version: read the requirements in the METADATA of the new torch wheel,
//! download each of them with `pip download --no-deps`, and enter its name, size and sha256 here.

use super::set::VERSION;
use crate::Wheel;

/// The files that are taken from a wheel.
pub(super) struct Taken {
    pub(super) wheel: Wheel<'static>,
    /// Names of files; a name that ends in `/` means a folder with everything in it.
    pub(super) members: &'static [&'static str],
}

const fn torch(
    file: &'static str,
    sha256: &'static str,
    bytes: u64,
    platform: &'static str,
) -> Wheel<'static> {
    let (distribution, python_version, abi) = ("torch", "3.11", Some("cp311"));
    Wheel { distribution, version: VERSION, file, sha256, bytes, platform, python_version, abi }
}

/// A wheel of NVIDIA, for any Python.
const fn nvidia(
    distribution: &'static str,
    version: &'static str,
    file: &'static str,
    sha256: &'static str,
    bytes: u64,
    platform: &'static str,
) -> Wheel<'static> {
    Wheel {
        distribution,
        version,
        file,
        sha256,
        bytes,
        platform,
        python_version: "3.11",
        abi: None,
    }
}

const TORCH_LINUX_X86_64: Wheel<'_> = torch(
    "torch-2.11.0-cp311-cp311-manylinux_2_28_x86_64.whl",
    "7aa2f9bbc6d4595ba72138026b2074be1233186150e9292865e04b7a63b8c67a",
    530_604_548,
    "manylinux_2_28_x86_64",
);
const TORCH_MACOS_AARCH64: Wheel<'_> = torch(
    "torch-2.11.0-cp311-cp311-macosx_11_0_arm64.whl",
    "7b6a60d48062809f58595509c524b88e6ddec3ebe25833d6462eeab81e5f2ce4",
    80_529_712,
    "macosx_11_0_arm64",
);
const CUDA_RUNTIME: Wheel<'_> = nvidia(
    "nvidia-cuda-runtime",
    "13.0.96",
    "nvidia_cuda_runtime-13.0.96-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl",
    "7f82250d7782aa23b6cfe765ecc7db554bd3c2870c43f3d1821f1d18aebf0548",
    2_243_632,
    "manylinux2014_x86_64",
);
const CUPTI: Wheel<'_> = nvidia(
    "nvidia-cuda-cupti",
    "13.0.85",
    "nvidia_cuda_cupti-13.0.85-py3-none-manylinux_2_25_x86_64.whl",
    "4eb01c08e859bf924d222250d2e8f8b8ff6d3db4721288cf35d14252a4d933c8",
    10_715_597,
    "manylinux_2_25_x86_64",
);
const CUBLAS: Wheel<'_> = nvidia(
    "nvidia-cublas",
    "13.1.0.3",
    "nvidia_cublas-13.1.0.3-py3-none-manylinux_2_27_x86_64.whl",
    "ee8722c1f0145ab246bccb9e452153b5e0515fd094c3678df50b2a0888b8b171",
    423_133_236,
    "manylinux_2_27_x86_64",
);
const NVRTC: Wheel<'_> = nvidia(
    "nvidia-cuda-nvrtc",
    "13.0.88",
    "nvidia_cuda_nvrtc-13.0.88-py3-none-manylinux2010_x86_64.manylinux_2_12_x86_64.whl",
    "ad9b6d2ead2435f11cbb6868809d2adeeee302e9bb94bcf0539c7a40d80e8575",
    90_215_200,
    "manylinux2010_x86_64",
);
const CUDNN: Wheel<'_> = nvidia(
    "nvidia-cudnn-cu13",
    "9.19.0.56",
    "nvidia_cudnn_cu13-9.19.0.56-py3-none-manylinux_2_27_x86_64.whl",
    "d20e1734305e9d68889a96e3f35094d733ff1f83932ebe462753973e53a572bf",
    366_066_321,
    "manylinux_2_27_x86_64",
);
const CUFFT: Wheel<'_> = nvidia(
    "nvidia-cufft",
    "12.0.0.61",
    "nvidia_cufft-12.0.0.61-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl",
    "6c44f692dce8fd5ffd3e3df134b6cdb9c2f72d99cf40b62c32dde45eea9ddad3",
    214_085_489,
    "manylinux2014_x86_64",
);
const CUFILE: Wheel<'_> = nvidia(
    "nvidia-cufile",
    "1.15.1.6",
    "nvidia_cufile-1.15.1.6-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl",
    "08a3ecefae5a01c7f5117351c64f17c7c62efa5fffdbe24fc7d298da19cd0b44",
    1_223_672,
    "manylinux2014_x86_64",
);
const CURAND: Wheel<'_> = nvidia(
    "nvidia-curand",
    "10.4.0.35",
    "nvidia_curand-10.4.0.35-py3-none-manylinux_2_27_x86_64.whl",
    "1aee33a5da6e1db083fe2b90082def8915f30f3248d5896bcec36a579d941bfc",
    59_544_258,
    "manylinux_2_27_x86_64",
);
const CUSOLVER: Wheel<'_> = nvidia(
    "nvidia-cusolver",
    "12.0.4.66",
    "nvidia_cusolver-12.0.4.66-py3-none-manylinux_2_27_x86_64.whl",
    "0a759da5dea5c0ea10fd307de75cdeb59e7ea4fcb8add0924859b944babf1112",
    200_941_980,
    "manylinux_2_27_x86_64",
);
const CUSPARSE: Wheel<'_> = nvidia(
    "nvidia-cusparse",
    "12.6.3.3",
    "nvidia_cusparse-12.6.3.3-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl",
    "2b3c89c88d01ee0e477cb7f82ef60a11a4bcd57b6b87c33f789350b59759360b",
    145_942_937,
    "manylinux2014_x86_64",
);
const CUSPARSELT: Wheel<'_> = nvidia(
    "nvidia-cusparselt-cu13",
    "0.8.0",
    "nvidia_cusparselt_cu13-0.8.0-py3-none-manylinux2014_x86_64.whl",
    "25e30a8a7323935d4ad0340b95a0b69926eee755767e8e0b1cf8dd85b197d3fd",
    169_884_119,
    "manylinux2014_x86_64",
);
const NCCL: Wheel<'_> = nvidia(
    "nvidia-nccl-cu13",
    "2.28.9",
    "nvidia_nccl_cu13-2.28.9-py3-none-manylinux_2_18_x86_64.whl",
    "e4553a30f34195f3fa1da02a6da3d6337d28f2003943aa0a3d247bbc25fefc42",
    196_493_177,
    "manylinux_2_18_x86_64",
);
const NVJITLINK: Wheel<'_> = nvidia(
    "nvidia-nvjitlink",
    "13.0.88",
    "nvidia_nvjitlink-13.0.88-py3-none-manylinux2010_x86_64.manylinux_2_12_x86_64.whl",
    "13a74f429e23b921c1109976abefacc69835f2f433ebd323d3946e11d804e47b",
    40_713_933,
    "manylinux2010_x86_64",
);
const NVSHMEM: Wheel<'_> = nvidia(
    "nvidia-nvshmem-cu13",
    "3.4.5",
    "nvidia_nvshmem_cu13-3.4.5-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl",
    "290f0a2ee94c9f3687a02502f3b9299a9f9fe826e6d0287ee18482e78d495b80",
    60_412_546,
    "manylinux2014_x86_64",
);
const NVTX: Wheel<'_> = nvidia(
    "nvidia-nvtx",
    "13.0.85",
    "nvidia_nvtx-13.0.85-py3-none-manylinux1_x86_64.manylinux_2_5_x86_64.whl",
    "4936d1d6780fbe68db454f5e72a42ff64d1fd6397df9f363ae786930fd5c1cd4",
    148_047,
    "manylinux1_x86_64",
);

/// The libraries for the CPU, with the CUDA libraries that `libtorch_cpu.so` needs even without a
/// card.
pub(super) const CPU_LINUX_X86_64: &[Taken] = &[
    Taken {
        wheel: TORCH_LINUX_X86_64,
        members: &[
            "torch/include/",
            "torch/lib/libc10.so",
            "torch/lib/libgomp.so.1",
            "torch/lib/libshm.so",
            "torch/lib/libtorch_cpu.so",
        ],
    },
    Taken { wheel: CUDA_RUNTIME, members: &["nvidia/cu13/lib/libcudart.so.13"] },
    Taken { wheel: CUPTI, members: &["nvidia/cu13/lib/libcupti.so.13"] },
];

/// The torch wheel and its requirements, except those that only Python uses.
pub(super) const CUDA_LINUX_X86_64: &[Taken] = &[
    Taken { wheel: TORCH_LINUX_X86_64, members: &["torch/include/", "torch/lib/"] },
    Taken { wheel: CUDA_RUNTIME, members: &["nvidia/cu13/lib/"] },
    Taken { wheel: CUPTI, members: &["nvidia/cu13/lib/"] },
    Taken { wheel: CUBLAS, members: &["nvidia/cu13/lib/"] },
    Taken { wheel: NVRTC, members: &["nvidia/cu13/lib/"] },
    Taken { wheel: CUDNN, members: &["nvidia/cudnn/lib/"] },
    Taken { wheel: CUFFT, members: &["nvidia/cu13/lib/"] },
    Taken { wheel: CUFILE, members: &["nvidia/cu13/lib/"] },
    Taken { wheel: CURAND, members: &["nvidia/cu13/lib/"] },
    Taken { wheel: CUSOLVER, members: &["nvidia/cu13/lib/"] },
    Taken { wheel: CUSPARSE, members: &["nvidia/cu13/lib/"] },
    Taken { wheel: CUSPARSELT, members: &["nvidia/cusparselt/lib/"] },
    Taken { wheel: NCCL, members: &["nvidia/nccl/lib/"] },
    Taken { wheel: NVJITLINK, members: &["nvidia/cu13/lib/"] },
    Taken { wheel: NVSHMEM, members: &["nvidia/nvshmem/lib/"] },
    Taken { wheel: NVTX, members: &["nvidia/cu13/lib/"] },
];

/// One build serves both the CPU and Apple's GPU.
pub(super) const MACOS_AARCH64: &[Taken] =
    &[Taken { wheel: TORCH_MACOS_AARCH64, members: &["torch/include/", "torch/lib/"] }];
