//! What is known of a card, and does this libtorch have kernels for it?

use crate::shim;

/// A graphics card of NVIDIA or, under ROCm, of AMD.
#[derive(Default)]
pub struct Card {
    pub name: String,
    /// Major and minor version.
    pub compute_capability: Option<(u32, u32)>,
    pub rocm: bool,
    /// The reason why it cannot be used.
    pub problem: Option<String>,
}

impl Card {
    /// The card with this index. `kernels` are those of this libtorch. The name does not contain
    /// the index, because the name is a part of cache keys, and an executable that was made for a
    /// card also serves on other cards of the same kind.
    pub fn of(index: u32, kernels: &Kernels) -> Self {
        if tch::utils::has_hip() {
            return Self { name: "ROCm device".to_owned(), rocm: true, ..Self::default() };
        }
        let Some((name, capability)) = shim::card(index) else {
            return Self { name: "CUDA device".to_owned(), ..Self::default() };
        };
        Self {
            problem: kernels.problem(capability),
            name,
            compute_capability: Some(capability),
            rocm: false,
        }
    }

    /// An entry that stands for the cards that libtorch cannot reach, with the reason.
    pub fn out_of_reach(why: String) -> Self {
        Self { name: "CUDA".to_owned(), problem: Some(why), ..Self::default() }
    }
}

/// The compute capabilities that this libtorch reports to be compiled for. Both lists are empty if
/// it reports none.
pub struct Kernels {
    /// Kernels as machine code, which runs on cards of the same major and the same or a higher
    /// minor version.
    machine: Vec<(u32, u32)>,
    /// Kernels as text, which the driver compiles for any later card.
    text: Vec<(u32, u32)>,
}

impl Kernels {
    /// Reads the configuration that libtorch was built with: flags such as
    /// `-gencode;arch=compute_75,code=sm_75`.
    pub fn read(configuration: &str) -> Self {
        let all = |mark: &str| configuration.split(mark).skip(1).filter_map(capability).collect();
        Self { machine: all("code=sm_"), text: all("code=compute_") }
    }

    /// The reason why a card of this capability cannot be used; `None` if it can, or if libtorch
    /// reports no capabilities.
    fn problem(&self, card: (u32, u32)) -> Option<String> {
        let least = self.machine.iter().chain(&self.text).min()?;
        let fits = self.machine.iter().any(|kernel| kernel.0 == card.0 && kernel.1 <= card.1);
        if fits || self.text.iter().any(|kernel| *kernel <= card) {
            return None;
        }
        let [(major, minor), (least_major, least_minor)] = [card, *least];
        let why = if card < *least {
            format!(": they begin at {least_major}.{least_minor}")
        } else {
            String::new()
        };
        Some(format!(
            "its compute capability is {major}.{minor}, and this libtorch has no kernels for it{why}"
        ))
    }
}

/// The number at the beginning of `text`; its last digit is the minor version. `None` for kernels
/// that run on one card only, such as `90a`.
fn capability(text: &str) -> Option<(u32, u32)> {
    let digits = text.find(|next: char| !next.is_ascii_digit()).unwrap_or(text.len());
    if text[digits..].starts_with(|next: char| next.is_ascii_alphabetic()) {
        return None;
    }
    let number: u32 = text[..digits].parse().ok()?;
    Some((number / 10, number % 10))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_without_kernels_has_a_problem() {
        // The text that libtorch 2.11.0 of PyPI reports.
        let said = "PyTorch built with:\n  - CUDA Runtime 13.0\n  - NVCC architecture flags: -gencode;arch=compute_75,code=sm_75;\
                    -gencode;arch=compute_80,code=sm_80;-gencode;arch=compute_86,code=sm_86;-gencode;arch=compute_90,code=sm_90;\
                    -gencode;arch=compute_100,code=sm_100;-gencode;arch=compute_120,code=sm_120\n  - CuDNN 91.9";
        let kernels = Kernels::read(said);
        assert_eq!(kernels.machine, [(7, 5), (8, 0), (8, 6), (9, 0), (10, 0), (12, 0)]);
        for usable in [(7, 5), (8, 0), (8, 9), (9, 0), (10, 3), (12, 1)] {
            assert_eq!(kernels.problem(usable), None, "{usable:?}");
        }
        let old = kernels.problem((6, 1)).unwrap_or_default();
        assert!(old.contains("6.1") && old.contains("begin at 7.5"), "{old}");
        assert!(kernels.problem((7, 0)).is_some());
        let new = kernels.problem((13, 0)).unwrap_or_default();
        assert!(new.contains("13.0") && !new.contains("begin"), "{new}");
    }

    #[test]
    fn text_is_compiled_for_later_cards_and_kernels_of_one_card_are_for_no_other() {
        let kernels = Kernels::read(
            "code=sm_90;-gencode;arch=compute_90,code=compute_90;arch=compute_100a,code=sm_100a",
        );
        assert_eq!((&kernels.machine[..], &kernels.text[..]), (&[(9, 0)][..], &[(9, 0)][..]));
        assert_eq!(kernels.problem((12, 1)), None);
        assert!(kernels.problem((8, 9)).is_some());
    }

    #[test]
    fn nothing_is_held_against_a_card_where_libtorch_says_nothing() {
        assert_eq!(Kernels::read("no flags at all").problem((3, 5)), None);
    }
}
