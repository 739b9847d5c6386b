//! Queries, keys, values `[N, T, 256]` → what the queries attend to, under the names that Hugging Face gives the four projections.

use tch::{TchError, Tensor};

use super::WIDTH;
use crate::model::init::Init;
use crate::model::layers::Linear;
use crate::model::variables::Scope;

const HEADS: i64 = 8;

/// Multi-head attention.
pub(super) struct Attention {
    q: Linear,
    k: Linear,
    v: Linear,
    out: Linear,
}

impl Attention {
    /// Declares the projections.
    pub fn new(scope: &mut Scope<'_>) -> Result<Self, TchError> {
        let mut linear = |name| Linear::new(&mut scope.under(name), WIDTH, WIDTH, Init::Zeros, Init::Zeros);
        Ok(Self { q: linear("q_proj")?, k: linear("k_proj")?, v: linear("v_proj")?, out: linear("out_proj")? })
    }

    /// `queries [N, Q, 256]`, `keys` and `values [N, K, 256]` → `[N, Q, 256]`.
    pub fn forward(&self, queries: &Tensor, keys: &Tensor, values: &Tensor) -> Result<Tensor, TchError> {
        let (pictures, count, _) = queries.size3()?;
        // [N, heads, T, 32]
        let split = |x: Tensor| x.f_reshape([pictures, -1, HEADS, WIDTH / HEADS])?.f_transpose(1, 2);
        let (q, k, v) = (split(self.q.forward(queries)?)?, split(self.k.forward(keys)?)?, split(self.v.forward(values)?)?);
        let attended = Tensor::f_scaled_dot_product_attention::<&Tensor>(&q, &k, &v, None, 0.0, false, None, false)?;
        self.out.forward(&attended.f_transpose(1, 2)?.f_reshape([pictures, count, WIDTH])?)
    }
}
