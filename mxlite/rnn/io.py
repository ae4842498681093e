"""Sentences for recurrent networks: words as numbers, batches by length."""
import bisect
import logging
import random

import numpy as np

from .. import ndarray as nd
from ..io import DataBatch, DataDesc, DataIter

__all__ = ["BucketSentenceIter", "encode_sentences"]


def encode_sentences(sentences, vocab=None, invalid_label=-1, invalid_key="\n", start_label=0, unknown_token=None):
    """(`sentences` with a number for each word, the dict word -> number).

    Without `vocab` one is made: words are counted from `start_label`, leaving out `invalid_label`, which stands for
    `invalid_key`. With `vocab` a word that it does not have counts as `unknown_token`, which gets a number where it has
    none; AssertionError where `unknown_token` is None. `vocab` is changed in place.
    """
    number, fresh = start_label, vocab is None
    vocab = {invalid_key: invalid_label} if fresh else vocab
    encoded = []
    for sentence in sentences:
        row = []
        for word in sentence:
            if word not in vocab:
                if not fresh and not unknown_token:
                    raise AssertionError(f"Unknown token {word}")
                word = unknown_token or word
            if word not in vocab:
                taken = {invalid_label} if fresh else {invalid_label, *vocab.values()}
                while number in taken:
                    number += 1
                vocab[word] = number
                number += 1
            row.append(vocab[word])
        encoded.append(row)
    return encoded, vocab


class BucketSentenceIter(DataIter):
    """Batches of sentences of like length, for :class:`mx.mod.BucketingModule`: data, and as labels the next words.

    `sentences` is a list of lists of numbers. A sentence goes to the shortest of `buckets` that holds it, filled up
    with `invalid_label`; one longer than all is left out. Without `buckets` every length that fills a batch is one.
    `layout` "NT" gives arrays (batch, steps), "TN" (steps, batch); ValueError for one without N in front or second.
    Buckets and sentences are shuffled at every :meth:`reset`, by Python's and NumPy's generators. What fills no batch
    is left out.
    """

    def __init__(self, sentences, batch_size, buckets=None, invalid_label=-1, data_name="data",
                 label_name="softmax_label", dtype="float32", layout="NT"):
        super().__init__()
        if not buckets:
            lengths = np.bincount([len(s) for s in sentences]) if len(sentences) else []
            buckets = [length for length, count in enumerate(lengths) if count >= batch_size]
            if not buckets:
                raise ValueError(f"no length has the {batch_size} sentences of a batch: give buckets")
        buckets = sorted(buckets)
        self.data = [[] for _ in buckets]
        dropped = 0
        for sentence in sentences:
            bucket = bisect.bisect_left(buckets, len(sentence))
            if bucket == len(buckets):
                dropped += 1
                continue
            row = np.full((buckets[bucket],), invalid_label, dtype=dtype)
            row[:len(sentence)] = sentence
            self.data[bucket].append(row)
        self.data = [np.asarray(rows, dtype=dtype) for rows in self.data]
        if dropped:
            logging.warning("BucketSentenceIter leaves out %d sentences longer than the largest bucket", dropped)
        self.batch_size, self.buckets, self.dtype, self.invalid_label = batch_size, buckets, dtype, invalid_label
        self.data_name, self.label_name, self.layout = data_name, label_name, layout
        self.nddata, self.ndlabel = [], []
        self.major_axis = layout.find("N")
        if self.major_axis not in (0, 1):
            raise ValueError(f"layout {layout!r} must be NT (batch first) or TN (steps first)")
        self.default_bucket_key = max(buckets)
        self.provide_data = self._describe(data_name, self.default_bucket_key)
        self.provide_label = self._describe(label_name, self.default_bucket_key)
        self.idx = [(i, j) for i, rows in enumerate(self.data)
                    for j in range(0, len(rows) - batch_size + 1, batch_size)]
        self.curr_idx = 0
        self.reset()

    def _describe(self, name, steps):
        shape = (self.batch_size, steps) if self.major_axis == 0 else (steps, self.batch_size)
        return [DataDesc(name=name, shape=shape, layout=self.layout)]

    def reset(self):
        """Shuffle, and begin again."""
        self.curr_idx = 0
        random.shuffle(self.idx)
        for rows in self.data:
            np.random.shuffle(rows)
        self.nddata, self.ndlabel = [], []
        for rows in self.data:
            label = np.full_like(rows, self.invalid_label)
            if rows.ndim > 1:
                label[:, :-1] = rows[:, 1:]
            self.nddata.append(nd.array(rows, dtype=self.dtype))
            self.ndlabel.append(nd.array(label, dtype=self.dtype))

    def next(self):
        """The next :class:`mx.io.DataBatch`, whose `bucket_key` is the bucket's length."""
        if self.curr_idx == len(self.idx):
            raise StopIteration
        i, j = self.idx[self.curr_idx]
        self.curr_idx += 1
        data, label = (arrays[i][j:j + self.batch_size] for arrays in (self.nddata, self.ndlabel))
        if self.major_axis == 1:
            data, label = data.T, label.T
        return DataBatch([data], [label], pad=0, bucket_key=self.buckets[i],
                         provide_data=self._describe(self.data_name, self.buckets[i]),
                         provide_label=self._describe(self.label_name, self.buckets[i]))
