//! BM25 over stemmed words in memory; the one file that names tantivy.
//!
//! Source of the score: Robertson & Zaragoza 2009, with k1 = 1.2 and b = 0.75.

use std::{
    collections::HashMap,
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use aikit_core::{
    Error, Result,
    storage::{ChunkId, Scored},
};
use tantivy::{
    DocAddress, IndexReader, IndexSettings, IndexWriter, ReloadPolicy, Score, SegmentReader,
    TantivyDocument, TantivyError, Term,
    collector::{FilterCollector, TopDocs},
    directory::{Directory, RamDirectory},
    indexer::IndexWriterOptions,
    query::{BooleanQuery, Query, TermQuery},
    schema::{FAST, Field, INDEXED, IndexRecordOption, Schema, TextFieldIndexing, TextOptions},
    tokenizer::{Token, TokenStream, Tokenizer},
};

use super::words::{Language, Question, Words};
use crate::rag::ids::Ids;

/// Names of the fields, and of the tokenizers of those with words.
const ID: &str = "id";
const TELLING: &str = "telling";
const FILLING: &str = "filling";

/// Memory of the thread that takes texts in before it begins another segment.
const WRITER_BYTES: usize = 64 << 20;

/// The files that say which of the others belong to the index and which it may delete.
const META: &[&str] = &["meta.json", ".managed.json"];

/// Chunks that came or went between two places of the history.
#[derive(Debug, Default)]
pub(super) struct Page {
    pub(super) added: Vec<(ChunkId, String)>,
    pub(super) deleted: Vec<ChunkId>,
}

/// An inverted index; searches do not wait for what is taken in meanwhile.
pub(super) struct Index {
    directory: RamDirectory,
    inner: tantivy::Index,
    reader: IndexReader,
    id: Field,
    /// The words that say what a text is about; its length is counted in them.
    telling: Field,
    /// The words that only build its sentences, for questions that have no others.
    filling: Field,
}

impl fmt::Debug for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Index")
            .field("chunks", &self.len())
            .finish_non_exhaustive()
    }
}

impl Index {
    /// An index without chunks.
    pub(super) fn empty(language: Language) -> Result<Self> {
        let directory = RamDirectory::create();
        let index = tantivy::Index::create(directory.clone(), schema(), IndexSettings::default());
        Self::new(directory, index.map_err(failed)?, language)
    }

    /// The index that [`Index::files`] took apart.
    ///
    /// # Errors
    ///
    /// `internal` when the files are no index.
    pub(super) fn from_files(files: &[(String, &[u8])], language: Language) -> Result<Self> {
        let directory = RamDirectory::create();
        for (name, bytes) in files {
            directory.atomic_write(Path::new(name), bytes)?;
        }
        let index = tantivy::Index::open(directory.clone()).map_err(failed)?;
        if index.schema() != schema() {
            return Err(Error::internal("the keyword index has other fields"));
        }
        Self::new(directory, index, language)
    }

    fn new(directory: RamDirectory, index: tantivy::Index, language: Language) -> Result<Self> {
        let words = Arc::new(Mutex::new(Words::new(language)));
        for (name, is_telling) in [(TELLING, true), (FILLING, false)] {
            let words = Arc::clone(&words);
            let tokenizer = WordTokenizer { words, is_telling };
            index.tokenizers().register(name, tokenizer);
        }
        let reader = index.reader_builder();
        let reader = reader.reload_policy(ReloadPolicy::Manual).try_into();
        let field = |name: &str| index.schema().get_field(name).map_err(failed);
        Ok(Self {
            reader: reader.map_err(failed)?,
            id: field(ID)?,
            telling: field(TELLING)?,
            filling: field(FILLING)?,
            directory,
            inner: index,
        })
    }

    /// Number of chunks.
    pub(super) fn len(&self) -> usize {
        usize::try_from(self.reader.searcher().num_docs()).unwrap_or(usize::MAX)
    }

    /// Takes pages in, in order; all of them or, after an error, none.
    pub(super) fn take(&self, pages: Vec<Page>) -> Result<()> {
        let mut writer = self.writer()?;
        for page in pages {
            for id in page.deleted {
                writer.delete_term(Term::from_field_u64(self.id, id));
            }
            for (id, text) in page.added {
                let mut document = TantivyDocument::default();
                document.add_u64(self.id, id);
                document.add_text(self.filling, &text);
                document.add_text(self.telling, text);
                writer.add_document(document).map_err(failed)?;
            }
        }
        writer.commit().map_err(failed)?;
        writer.wait_merging_threads().map_err(failed)?;
        self.reader.reload().map_err(failed)
    }

    /// Makes one segment of all, without what was deleted: counts of words are exact again.
    pub(super) fn compact(&self) -> Result<()> {
        let searcher = self.reader.searcher();
        let segments = searcher.segment_readers();
        if segments.len() < 2 && segments.iter().all(|it| it.num_deleted_docs() == 0) {
            return Ok(());
        }
        let mut writer = self.writer()?;
        let segments = self.inner.searchable_segment_ids().map_err(failed)?;
        writer.merge(&segments).wait().map_err(failed)?;
        writer.wait_merging_threads().map_err(failed)?;
        self.reader.reload().map_err(failed)
    }

    /// Share of the chunks that were deleted and still count in the statistics, 0 to 1.
    #[expect(clippy::cast_precision_loss, reason = "a share needs no more digits")]
    pub(super) fn deleted_share(&self) -> f32 {
        let searcher = self.reader.searcher();
        let segments = searcher.segment_readers().iter();
        let deleted: u32 = segments.map(SegmentReader::num_deleted_docs).sum();
        deleted as f32 / ((self.len() as f32) + deleted as f32).max(1.0)
    }

    /// The files that make it up, by name.
    pub(super) fn files(&self) -> Result<Vec<(String, Vec<u8>)>> {
        let mut names = self.inner.directory().list_managed_files();
        names.extend(META.iter().map(PathBuf::from));
        names.retain(|it| self.directory.exists(it).unwrap_or(false));
        let mut names: Vec<PathBuf> = names.into_iter().collect();
        names.sort();
        let read = |name: PathBuf| {
            let bytes = self.directory.atomic_read(&name);
            let bytes = bytes.map_err(|error| failed(error.into()))?;
            Ok((name.to_string_lossy().into_owned(), bytes))
        };
        names.into_iter().map(read).collect()
    }

    /// The `k` chunks that have the words best, best first, equal scores by id.
    pub(super) fn search(
        &self,
        question: &Question,
        k: usize,
        kept: Option<Arc<Ids>>,
    ) -> Result<Vec<Scored>> {
        let k = k.min(self.len());
        if k == 0 || question.words.is_empty() {
            return Ok(Vec::new());
        }
        let field = if question.is_filling {
            self.filling
        } else {
            self.telling
        };
        let terms = question.words.iter().map(|word| {
            let term = Term::from_field_text(field, word);
            Box::new(TermQuery::new(term, IndexRecordOption::WithFreqs)) as Box<dyn Query>
        });
        let query = BooleanQuery::union(terms.collect());
        let searcher = self.reader.searcher();
        let top = TopDocs::with_limit(k).order_by_score();
        let found = match kept {
            None => searcher.search(&query, &top),
            Some(kept) => {
                let keeps = move |id: u64| kept.contains(id);
                searcher.search(&query, &FilterCollector::new(ID.to_owned(), keeps, top))
            }
        };
        let found: Vec<(Score, DocAddress)> = found.map_err(failed)?;
        let mut columns = HashMap::new();
        let mut hits = Vec::with_capacity(found.len());
        for (score, address) in found {
            let segment = address.segment_ord;
            let column = match columns.entry(segment) {
                std::collections::hash_map::Entry::Occupied(known) => known.into_mut(),
                std::collections::hash_map::Entry::Vacant(place) => {
                    let fields = searcher.segment_reader(segment).fast_fields();
                    place.insert(fields.u64(ID).map_err(failed)?)
                }
            };
            if let Some(id) = column.first(address.doc_id) {
                hits.push(Scored { id, score });
            }
        }
        hits.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.id.cmp(&b.id)));
        Ok(hits)
    }

    fn writer(&self) -> Result<IndexWriter> {
        let options = IndexWriterOptions::builder()
            .num_worker_threads(1)
            .num_merge_threads(1)
            .memory_budget_per_thread(WRITER_BYTES)
            .build();
        self.inner.writer_with_options(options).map_err(failed)
    }
}

fn schema() -> Schema {
    let mut builder = Schema::builder();
    builder.add_u64_field(ID, INDEXED | FAST);
    for name in [TELLING, FILLING] {
        let indexing = TextFieldIndexing::default()
            .set_tokenizer(name)
            .set_index_option(IndexRecordOption::WithFreqs);
        builder.add_text_field(name, TextOptions::default().set_indexing_options(indexing));
    }
    builder.build()
}

fn failed(error: TantivyError) -> Error {
    Error::internal(format!("the keyword index failed: {error}")).with_source(error)
}

/// One kind of [`Words`] in the shape that tantivy asks for; all share what they know.
#[derive(Clone)]
struct WordTokenizer {
    words: Arc<Mutex<Words>>,
    is_telling: bool,
}

impl Tokenizer for WordTokenizer {
    type TokenStream<'a> = WordStream;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> WordStream {
        let mut words = self.words.lock().unwrap_or_else(PoisonError::into_inner);
        let mut found = Vec::new();
        words.each(text, |word, is_telling| {
            if is_telling == self.is_telling {
                found.push(word.to_owned());
            }
        });
        WordStream {
            words: found.into_iter(),
            token: Token::default(),
        }
    }
}

struct WordStream {
    words: std::vec::IntoIter<String>,
    token: Token,
}

impl TokenStream for WordStream {
    fn advance(&mut self) -> bool {
        let Some(word) = self.words.next() else {
            return false;
        };
        self.token.position = self.token.position.wrapping_add(1);
        self.token.text = word;
        true
    }

    fn token(&self) -> &Token {
        &self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        &mut self.token
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    /// BM25 as its authors write it, over lists of words.
    #[derive(Default)]
    struct Oracle(BTreeMap<ChunkId, Vec<String>>);

    /// A count that is small enough for any float.
    fn number(count: usize) -> f64 {
        f64::from(u32::try_from(count).unwrap())
    }

    impl Oracle {
        fn score(&self, id: ChunkId, question: &[String]) -> f64 {
            let all = number(self.0.len());
            let mean = number(self.0.values().map(Vec::len).sum()) / all;
            let words = &self.0[&id];
            let score = question.iter().map(|word| {
                let with = number(self.0.values().filter(|it| it.contains(word)).count());
                let count = number(words.iter().filter(|it| *it == word).count());
                let weight = (1.0 + (all - with + 0.5) / (with + 0.5)).ln();
                let length = 1.0 - 0.75 + 0.75 * number(words.len()) / mean;
                weight * count * 2.2 / (count + 1.2 * length)
            });
            score.sum()
        }

        /// Every chunk that has a word, best first.
        fn search(&self, question: &[String]) -> Vec<(ChunkId, f64)> {
            let scored = self.0.keys().map(|id| (*id, self.score(*id, question)));
            let mut found: Vec<(ChunkId, f64)> = scored.filter(|it| it.1 > 0.0).collect();
            found.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
            found
        }
    }

    /// Numbers that look random and are the same every time.
    struct Numbers(u64);

    impl Numbers {
        fn below(&mut self, end: u64) -> u64 {
            self.0 = self
                .0
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (self.0 >> 33) % end
        }

        /// Words of which some are frequent and most are rare.
        fn text(&mut self) -> Vec<String> {
            let length = 1 + self.below(38);
            let word = |numbers: &mut Self| {
                let rarest = 1 + numbers.below(60);
                format!("w{}", numbers.below(rarest))
            };
            (0..length).map(|_| word(self)).collect()
        }
    }

    fn asking(words: &[String]) -> Question {
        Question {
            words: words.to_vec(),
            is_filling: false,
        }
    }

    fn agree(index: &Index, oracle: &Oracle, question: &[String], k: usize) {
        let found = index.search(&asking(question), k, None).unwrap();
        let expected = oracle.search(question);
        assert_eq!(found.len(), expected.len().min(k));
        let near = |a: f32, b: f64| (f64::from(a) - b).abs() < 1e-4 * b.max(1.0);
        for (hit, (id, score)) in found.iter().zip(&expected) {
            assert!(near(hit.score, *score), "{hit:?} is not {id} with {score}");
            assert!(near(hit.score, oracle.score(hit.id, question)), "{hit:?}");
        }
        let distinct: BTreeSet<ChunkId> = found.iter().map(|hit| hit.id).collect();
        assert_eq!(distinct.len(), found.len());
    }

    #[test]
    fn the_order_is_that_of_bm25_as_its_authors_write_it() {
        let language = Language::find("none").unwrap();
        for seed in 0..6 {
            let mut numbers = Numbers(seed);
            let (index, mut oracle) = (Index::empty(language).unwrap(), Oracle::default());
            let mut next = 0;
            for _ in 0..4 {
                let mut page = Page::default();
                for _ in 0..=numbers.below(80) {
                    next += 1;
                    let words = numbers.text();
                    page.added.push((next, words.join(" ")));
                    oracle.0.insert(next, words);
                }
                index.take(vec![page]).unwrap();
                for _ in 0..20 {
                    let question: BTreeSet<String> = numbers.text().into_iter().take(4).collect();
                    let question: Vec<String> = question.into_iter().collect();
                    let k = usize::try_from(1 + numbers.below(100)).unwrap();
                    agree(&index, &oracle, &question, k);
                }
            }
            // What is deleted is never found, and after compaction it leaves no trace.
            let gone: Vec<ChunkId> = (1..=next).filter(|id| id % 3 == 0).collect();
            let page = Page {
                deleted: gone.clone(),
                ..Page::default()
            };
            index.take(vec![page]).unwrap();
            oracle.0.retain(|id, _| id % 3 != 0);
            let question = vec!["w0".to_owned(), "w1".to_owned()];
            let found = index.search(&asking(&question), 1_000, None).unwrap();
            assert!(found.iter().all(|hit| !gone.contains(&hit.id)));
            assert_eq!(found.len(), oracle.search(&question).len());
            assert!(index.deleted_share() > 0.0);
            index.compact().unwrap();
            assert!(index.deleted_share() == 0.0);
            agree(&index, &oracle, &question, 50);
            // An index that was taken apart and put together again answers the same.
            let files = index.files().unwrap();
            let files: Vec<(String, &[u8])> = files
                .iter()
                .map(|(name, bytes)| (name.clone(), bytes.as_slice()))
                .collect();
            let again = Index::from_files(&files, language).unwrap();
            agree(&again, &oracle, &question, 50);
            let page = Page {
                added: vec![(next + 1, "w0 fresh".to_owned())],
                ..Page::default()
            };
            again.take(vec![page]).unwrap();
            oracle
                .0
                .insert(next + 1, vec!["w0".to_owned(), "fresh".to_owned()]);
            agree(&again, &oracle, &["fresh".to_owned()], 5);
        }
    }

    #[test]
    fn only_what_is_kept_is_found() {
        let index = Index::empty(Language::find("english").unwrap()).unwrap();
        let words = asking(&["owl".to_owned()]);
        assert_eq!(index.search(&words, 5, None).unwrap(), []);
        let added = (1..=100).map(|id| (id, "owls hunt".to_owned())).collect();
        let page = Page {
            added,
            ..Page::default()
        };
        index.take(vec![page]).unwrap();
        let kept: Ids = [7, 70, 700].into_iter().collect();
        let found = index.search(&words, 5, Some(Arc::new(kept))).unwrap();
        assert_eq!(found.iter().map(|it| it.id).collect::<Vec<_>>(), [7, 70]);
        assert_eq!(index.search(&asking(&[]), 5, None).unwrap(), []);
        assert_eq!(index.search(&words, 0, None).unwrap(), []);
    }

    #[test]
    fn a_chunk_that_came_and_went_within_one_batch_is_gone() {
        let index = Index::empty(Language::find("none").unwrap()).unwrap();
        let pages = vec![
            Page {
                added: vec![(1, "owl".to_owned()), (2, "owl".to_owned())],
                ..Page::default()
            },
            Page {
                added: vec![(3, "owl".to_owned())],
                deleted: vec![1],
            },
        ];
        index.take(pages).unwrap();
        let found = index.search(&asking(&["owl".to_owned()]), 5, None).unwrap();
        assert_eq!(found.iter().map(|it| it.id).collect::<Vec<_>>(), [2, 3]);
    }
}
