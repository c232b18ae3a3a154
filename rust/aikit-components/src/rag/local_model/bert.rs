//! A BERT model on the processor: tokens in, one vector of length one a text out.

use std::{
    cmp::Reverse,
    sync::atomic::{AtomicUsize, Ordering},
};

use aikit_core::{Error, ErrorKind, Result, per_process::PerProcess};
use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::bert::BertModel;
use rayon::ThreadPool;
use tokenizers::{Tokenizer, TruncationParams};

use super::{
    Folder,
    settings::{Pooling, Settings, wrong},
};

/// Texts of one batch.
const BATCH_TEXTS: usize = 64;

/// Tokens of one batch, padding included: it is soon over, so that a cancelled call ends soon.
const BATCH_TOKENS: usize = 2_048;

/// Most threads that compute.
const THREADS_MAX: usize = 64;

/// How much of a text is given to the tokenizer: far more than the longest that a model reads.
const TEXT_BYTES: usize = 64 << 10;

/// Where models compute: a pool of one thread for each processor. A batch stays on one thread, so
/// that nobody waits between its many small steps; batches are what goes on side by side. Not the
/// pool that all of the process share: a forked child would wait for threads that did not come
/// with it.
static POOLS: PerProcess<Pools> = PerProcess::new();

/// Threads that compute, and whose turn it is.
#[derive(Debug)]
struct Pools {
    pools: Vec<ThreadPool>,
    next: AtomicUsize,
}

/// A model that is ready to embed.
pub(super) struct Bert {
    tokenizer: Tokenizer,
    model: BertModel,
    settings: Settings,
}

impl std::fmt::Debug for Bert {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bert")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// The tokens of a text and where it stood in its list.
#[derive(Clone, Debug)]
pub(super) struct Tokenized {
    index: usize,
    ids: Vec<u32>,
}

/// Puts texts of about one length together, longest first: a batch is as wide as its longest text.
pub(super) fn batches(mut texts: Vec<Tokenized>) -> Vec<Vec<Tokenized>> {
    texts.sort_by_key(|text| (Reverse(text.ids.len()), text.index));
    let mut batches: Vec<Vec<Tokenized>> = Vec::new();
    for text in texts {
        match batches.last_mut() {
            Some(batch)
                if batch.len() < BATCH_TEXTS
                    && (batch.len() + 1) * batch[0].ids.len() <= BATCH_TOKENS =>
            {
                batch.push(text);
            }
            _ => batches.push(vec![text]),
        }
    }
    batches
}

impl Bert {
    /// Makes a model of what is in its folder.
    ///
    /// # Errors
    ///
    /// `config` for another architecture or a file that is malformed, `corrupt_record` for weights
    /// that are damaged or of another shape than `config.json` says.
    pub(super) fn open(folder: Folder) -> Result<Self> {
        let settings = Settings::read(&folder)?;
        let tokenizer = tokenizer(&folder.tokenizer, &settings)?;
        let damaged = |error: candle_core::Error| {
            let message = format!("its model.safetensors does not fit: {}", first_line(&error));
            Error::new(ErrorKind::CorruptRecord, message)
                .with_hint("copy the folder anew: the file is damaged, or it is another model's")
                .with_source(error)
        };
        let weights =
            VarBuilder::from_buffered_safetensors(folder.weights, DType::F32, &Device::Cpu)
                .map_err(damaged)?;
        let model = BertModel::load(weights, &settings.config).map_err(damaged)?;
        Ok(Self {
            tokenizer,
            model,
            settings,
        })
    }

    /// Length of the vectors.
    pub(super) fn dimension(&self) -> usize {
        self.settings.config.hidden_size
    }

    /// Makes tokens of texts; what is longer than the model reads is cut.
    ///
    /// # Errors
    ///
    /// `config` when the tokenizer is not one of the model.
    pub(super) fn tokenize(&self, texts: &[String]) -> Result<Vec<Tokenized>> {
        let tokenize = |(index, text): (usize, &String)| {
            let end = text.floor_char_boundary(TEXT_BYTES);
            let encoded = self.tokenizer.encode_fast(&text[..end], true);
            let encoded = encoded.map_err(|error| {
                wrong("the tokenizer of the model refuses a text").with_source(error)
            })?;
            let mut ids = encoded.get_ids().to_vec();
            ids.truncate(self.settings.tokens_max);
            if ids.is_empty() {
                // A tokenizer that marks no beginning gives nothing for an empty text.
                ids.push(self.padding());
            }
            Ok(Tokenized { index, ids })
        };
        pool()?.install(|| texts.iter().enumerate().map(tokenize).collect())
    }

    /// Embeds a batch: the place of each text in its list, and its vector of length one.
    ///
    /// # Errors
    ///
    /// `config` when the tokenizer knows more words than the model.
    pub(super) fn embed(&self, batch: &[Tokenized]) -> Result<Vec<(usize, Vec<f32>)>> {
        let failed = |error: candle_core::Error| {
            wrong(format!(
                "the model cannot embed a text: {}",
                first_line(&error)
            ))
            .with_hint("check that tokenizer.json and model.safetensors are of one model")
            .with_source(error)
        };
        let vectors = pool()?.install(|| self.forward(batch)).map_err(failed)?;
        let indexes = batch.iter().map(|text| text.index);
        Ok(indexes.zip(vectors).collect())
    }

    fn forward(&self, batch: &[Tokenized]) -> candle_core::Result<Vec<Vec<f32>>> {
        let width = batch.iter().map(|text| text.ids.len()).max().unwrap_or(0);
        let shape = (batch.len(), width);
        let mut ids = Vec::with_capacity(batch.len() * width);
        let mut mask = Vec::with_capacity(batch.len() * width);
        for text in batch {
            ids.extend_from_slice(&text.ids);
            ids.resize(ids.len() + width - text.ids.len(), self.padding());
            mask.resize(mask.len() + text.ids.len(), 1.0_f32);
            mask.resize(mask.len() + width - text.ids.len(), 0.0);
        }
        let ids = Tensor::from_vec(ids, shape, &Device::Cpu)?;
        let mask = Tensor::from_vec(mask, shape, &Device::Cpu)?;
        let states = self.model.forward(&ids, &ids.zeros_like()?, Some(&mask))?;
        let pooled = match self.settings.pooling {
            Pooling::First => states.narrow(1, 0, 1)?.squeeze(1)?,
            Pooling::Mean => {
                let counted = mask.unsqueeze(2)?;
                let sum = states.broadcast_mul(&counted)?.sum(1)?;
                sum.broadcast_div(&counted.sum(1)?)?
            }
        };
        let length = pooled.sqr()?.sum_keepdim(1)?.sqrt()?;
        pooled.broadcast_div(&length)?.to_vec2()
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "a vocabulary has at most 2^22 tokens"
    )]
    fn padding(&self) -> u32 {
        let config = &self.settings.config;
        config.pad_token_id.min(config.vocab_size - 1) as u32
    }
}

/// The tokenizer, which cuts what the model does not read. What the file says of cutting and
/// padding is how somebody trained, not how long a text the model takes.
fn tokenizer(bytes: &[u8], settings: &Settings) -> Result<Tokenizer> {
    let unfit = |error: tokenizers::Error| {
        wrong(format!("its tokenizer.json does not fit: {error}")).with_source(error)
    };
    let mut tokenizer = Tokenizer::from_bytes(bytes).map_err(unfit)?;
    let cut = TruncationParams {
        max_length: settings.tokens_max,
        ..TruncationParams::default()
    };
    tokenizer.with_padding(None);
    tokenizer.with_truncation(Some(cut)).map_err(unfit)?;
    Ok(tokenizer)
}

/// Batches that are embedded side by side.
pub(super) fn parallel() -> usize {
    pools().pools.len().max(1)
}

fn pools() -> &'static Pools {
    POOLS.get_or_init(|| {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let pool = |index| {
            let builder = rayon::ThreadPoolBuilder::new().num_threads(1);
            builder
                .thread_name(move |_| format!("aikit-embed-{index}"))
                .build()
                .ok()
        };
        Pools {
            pools: (0..processors.min(THREADS_MAX)).filter_map(pool).collect(),
            next: AtomicUsize::new(0),
        }
    })
}

fn pool() -> Result<&'static ThreadPool> {
    let Pools { pools, next } = pools();
    let turn = next.fetch_add(1, Ordering::Relaxed);
    pools.get(turn % pools.len().max(1)).ok_or_else(|| {
        Error::new(
            ErrorKind::Unavailable,
            "no thread can be started that embeds",
        )
        .with_hint("let the process start more threads")
    })
}

/// Errors of candle may carry a whole backtrace.
fn first_line(error: &candle_core::Error) -> String {
    let text = error.to_string();
    text.lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_hold_every_text_once_and_no_more_tokens_than_they_may() {
        let lengths = [3, 700, 1, 2_000, 5, 5, 256, 3_000, 40];
        let texts: Vec<Tokenized> = lengths
            .into_iter()
            .chain(std::iter::repeat_n(2, 200))
            .enumerate()
            .map(|(index, length)| Tokenized {
                index,
                ids: vec![0; length],
            })
            .collect();
        let count = texts.len();
        let batches = batches(texts);
        for batch in &batches {
            let width = batch.iter().map(|text| text.ids.len()).max().unwrap();
            assert!(batch.len() == 1 || batch.len() * width <= BATCH_TOKENS);
            assert!(batch.len() <= BATCH_TEXTS);
        }
        let mut indexes: Vec<usize> = batches.iter().flatten().map(|it| it.index).collect();
        indexes.sort_unstable();
        assert_eq!(indexes, (0..count).collect::<Vec<_>>());
        assert!(batches.len() < 12, "{} batches", batches.len());
    }
}
