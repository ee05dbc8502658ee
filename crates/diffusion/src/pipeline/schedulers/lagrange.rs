//! With which weights do the values at a few points give a functional of their polynomial?

/// The weights of the values at the points, for a linear functional such as an integral, applied to
/// the polynomial that has those values.
///
/// `of_powers` is the functional of the powers 0, 1, 2 and 3 of the variable. There are at most
/// four points. The result is not finite if two points are the same.
pub(super) fn weights(points: &[f64], of_powers: [f64; 4]) -> Vec<f64> {
    let weight = |index: usize| {
        // The coefficients of the polynomial that is 1 at this point and 0 at the others, the
        // constant term first.
        let mut polynomial = [1.0, 0.0, 0.0, 0.0];
        for (_, root) in points.iter().enumerate().filter(|(other, _)| *other != index) {
            let scale = points[index] - root;
            let mut below = 0.0;
            for coefficient in &mut polynomial {
                let here = *coefficient;
                *coefficient = (below - root * here) / scale;
                below = here;
            }
        }
        polynomial.iter().zip(of_powers).map(|(coefficient, power)| coefficient * power).sum()
    };
    (0..points.len()).map(weight).collect()
}
