//! What the small files of a model's folder say, checked before any weight is read.

use aikit_core::{Error, ErrorKind, Result};
use candle_transformers::models::bert::{Config, HiddenAct, PositionEmbeddingType};
use serde::{Deserialize, de::DeserializeOwned};

use super::Folder;

/// Tokens of a text that are read where the folder does not say.
const TOKENS_DEFAULT: usize = 256;

/// Bounds of what a folder may say: larger numbers are no embedding model's.
const LAYERS_MAX: usize = 128;
const SIZE_MAX: usize = 1 << 16;
const VOCABULARY_MAX: usize = 1 << 22;

/// How the vectors of the tokens become the vector of the text.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Pooling {
    /// Their mean.
    Mean,
    /// The vector of the first token.
    First,
}

/// What a folder says about its model.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) config: Config,
    pub(super) pooling: Pooling,
    /// Tokens of a text that are read, what begins and ends it included.
    pub(super) tokens_max: usize,
}

/// `config.json`, as far as an embedding needs it.
#[derive(Deserialize)]
struct Written {
    model_type: Option<String>,
    #[serde(default)]
    architectures: Vec<String>,
    vocab_size: usize,
    hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    intermediate_size: usize,
    hidden_act: String,
    max_position_embeddings: usize,
    #[serde(default = "two")]
    type_vocab_size: usize,
    #[serde(default = "tiny")]
    layer_norm_eps: f64,
    #[serde(default)]
    pad_token_id: usize,
    position_embedding_type: Option<String>,
}

fn two() -> usize {
    2
}

fn tiny() -> f64 {
    1e-12
}

#[derive(Default, Deserialize)]
struct Lengths {
    max_seq_length: Option<usize>,
}

#[expect(clippy::struct_excessive_bools, reason = "as they stand in the file")]
#[derive(Default, Deserialize)]
#[serde(default)]
struct PoolingModes {
    pooling_mode_cls_token: bool,
    pooling_mode_mean_tokens: bool,
    pooling_mode_max_tokens: bool,
    pooling_mode_mean_sqrt_len_tokens: bool,
    pooling_mode_weightedmean_tokens: bool,
    pooling_mode_lasttoken: bool,
}

#[derive(Deserialize)]
struct Module {
    #[serde(rename = "type")]
    kind: String,
}

impl Settings {
    /// Reads the small files of a folder.
    ///
    /// # Errors
    ///
    /// `config` for a file that is malformed and for a model of another kind.
    pub(super) fn read(folder: &Folder) -> Result<Self> {
        let written: Written = parse("config.json", &folder.config)?;
        let config = checked(&written)?;
        let lengths: Lengths = or_default("sentence_bert_config.json", folder.lengths.as_deref())?;
        let tokens_max = lengths.max_seq_length.unwrap_or(TOKENS_DEFAULT);
        if let Some(modules) = &folder.modules {
            check_modules(&parse::<Vec<Module>>("modules.json", modules)?)?;
        }
        Ok(Self {
            pooling: pooling(folder)?,
            // Two of them begin and end a text.
            tokens_max: tokens_max.clamp(3, config.max_position_embeddings.max(3)),
            config,
        })
    }
}

fn checked(written: &Written) -> Result<Config> {
    let kind = written.model_type.as_deref().unwrap_or("bert");
    let is_bert = |it: &String| it.starts_with("Bert");
    if kind != "bert" || !written.architectures.iter().all(is_bert) {
        let named = written.architectures.first().map_or(kind, String::as_str);
        return Err(wrong(format!("its architecture is `{named}`, not BERT"))
            .with_hint("take a model whose config.json has the `model_type` `bert`, such as MiniLM, BGE or E5"));
    }
    let positions = written.position_embedding_type.as_deref();
    if let Some(positions) = positions.filter(|it| *it != "absolute") {
        return Err(wrong(format!(
            "its positions are `{positions}`, not `absolute`"
        )));
    }
    let sizes = [
        ("vocab_size", written.vocab_size, VOCABULARY_MAX),
        ("hidden_size", written.hidden_size, SIZE_MAX),
        ("num_hidden_layers", written.num_hidden_layers, LAYERS_MAX),
        ("num_attention_heads", written.num_attention_heads, SIZE_MAX),
        ("intermediate_size", written.intermediate_size, SIZE_MAX),
        (
            "max_position_embeddings",
            written.max_position_embeddings,
            SIZE_MAX,
        ),
        ("type_vocab_size", written.type_vocab_size, SIZE_MAX),
    ];
    for (name, size, most) in sizes {
        if !(1..=most).contains(&size) {
            return Err(wrong(format!("`{name}` of its config.json is `{size}`"))
                .with_hint(format!("it is a number from 1 to {most}")));
        }
    }
    if !written
        .hidden_size
        .is_multiple_of(written.num_attention_heads)
    {
        let message = format!(
            "`hidden_size` `{}` of its config.json is no multiple of `num_attention_heads` `{}`",
            written.hidden_size, written.num_attention_heads
        );
        return Err(wrong(message));
    }
    Ok(Config {
        vocab_size: written.vocab_size,
        hidden_size: written.hidden_size,
        num_hidden_layers: written.num_hidden_layers,
        num_attention_heads: written.num_attention_heads,
        intermediate_size: written.intermediate_size,
        hidden_act: activation(&written.hidden_act)?,
        hidden_dropout_prob: 0.0,
        max_position_embeddings: written.max_position_embeddings,
        type_vocab_size: written.type_vocab_size,
        initializer_range: 0.0,
        layer_norm_eps: written.layer_norm_eps,
        pad_token_id: written.pad_token_id,
        position_embedding_type: PositionEmbeddingType::Absolute,
        use_cache: false,
        classifier_dropout: None,
        model_type: Some("bert".to_owned()),
    })
}

/// The approximation by `tanh` stands for the exact function as well: vectors of the two have a
/// cosine above 0.9999, and the exact one takes several times as long as the rest of a layer.
fn activation(name: &str) -> Result<HiddenAct> {
    match name {
        "gelu" | "gelu_new" | "gelu_pytorch_tanh" => Ok(HiddenAct::GeluApproximate),
        "relu" => Ok(HiddenAct::Relu),
        other => Err(wrong(format!("its activation `{other}` is not known"))
            .with_hint("take a model with `gelu` or `relu`")),
    }
}

fn pooling(folder: &Folder) -> Result<Pooling> {
    let Some(bytes) = &folder.pooling else {
        return Ok(Pooling::Mean);
    };
    let modes: PoolingModes = parse("1_Pooling/config.json", bytes)?;
    let others = [
        modes.pooling_mode_max_tokens,
        modes.pooling_mode_mean_sqrt_len_tokens,
        modes.pooling_mode_weightedmean_tokens,
        modes.pooling_mode_lasttoken,
    ];
    let modes = (modes.pooling_mode_mean_tokens, modes.pooling_mode_cls_token);
    match modes {
        (true, false) if !others.contains(&true) => Ok(Pooling::Mean),
        (false, true) if !others.contains(&true) => Ok(Pooling::First),
        _ => Err(
            wrong("its pooling is neither the mean of the tokens nor the first one")
                .with_hint("take a model with mean or CLS pooling"),
        ),
    }
}

fn check_modules(modules: &[Module]) -> Result<()> {
    let known = [".Transformer", ".Pooling", ".Normalize"];
    let is_known = |it: &&Module| known.iter().any(|name| it.kind.ends_with(name));
    match modules.iter().find(|it| !is_known(it)) {
        None => Ok(()),
        Some(module) => Err(wrong(format!("its step `{}` is not known", module.kind))
            .with_hint("take a model of a transformer, a pooling and a normalisation")),
    }
}

fn or_default<T: DeserializeOwned + Default>(name: &str, bytes: Option<&[u8]>) -> Result<T> {
    bytes.map_or_else(|| Ok(T::default()), |bytes| parse(name, bytes))
}

fn parse<T: DeserializeOwned>(name: &str, bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes)
        .map_err(|error| wrong(format!("its {name} does not fit: {error}")).with_source(error))
}

pub(super) fn wrong(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Config, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = r#"{"model_type": "bert", "architectures": ["BertModel"],
        "vocab_size": 10, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2,
        "intermediate_size": 16, "hidden_act": "gelu", "max_position_embeddings": 100}"#;

    fn folder(config: &str) -> Folder {
        Folder {
            config: config.as_bytes().to_vec(),
            tokenizer: Vec::new(),
            weights: Vec::new(),
            lengths: None,
            pooling: None,
            modules: None,
        }
    }

    #[test]
    fn a_folder_says_how_long_a_text_may_be_and_how_it_is_pooled() {
        let plain = Settings::read(&folder(CONFIG)).unwrap();
        // 256 where nothing is said, never more than there are positions.
        assert_eq!((plain.tokens_max, plain.pooling), (100, Pooling::Mean));
        let mut said = folder(CONFIG);
        said.lengths = Some(br#"{"max_seq_length": 32}"#.to_vec());
        said.pooling = Some(br#"{"pooling_mode_cls_token": true}"#.to_vec());
        let said = Settings::read(&said).unwrap();
        assert_eq!((said.tokens_max, said.pooling), (32, Pooling::First));
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let changed = |from: &str, to: &str| folder(&CONFIG.replace(from, to));
        let mut pooled = folder(CONFIG);
        pooled.pooling = Some(br#"{"pooling_mode_max_tokens": true}"#.to_vec());
        let mut stepped = folder(CONFIG);
        stepped.modules = Some(br#"[{"type": "sentence_transformers.models.Dense"}]"#.to_vec());
        let cases = [
            (changed("BertModel", "MPNetModel"), "`MPNetModel`"),
            (changed("\"bert\"", "\"xlnet\""), "not BERT"),
            (changed("\"gelu\"", "\"silu\""), "`silu`"),
            (
                changed("\"num_attention_heads\": 2", "\"num_attention_heads\": 3"),
                "multiple",
            ),
            (
                changed("\"num_attention_heads\": 2", "\"num_attention_heads\": 0"),
                "`0`",
            ),
            (
                changed("\"hidden_size\": 8", "\"hidden_size\": -8"),
                "does not fit",
            ),
            (changed("\"vocab_size\": 10,", ""), "vocab_size"),
            (folder("{"), "config.json"),
            (pooled, "pooling"),
            (stepped, "Dense"),
        ];
        for (folder, part) in cases {
            let error = Settings::read(&folder).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.message().contains(part), "{part}: {error}");
        }
    }
}
