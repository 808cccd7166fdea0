"""Data sources: a generated demo world, LastFM, MovieLens-100K, and generic rows from files.

Declarations only; what they name is imported when a recipe uses it.
"""

from __future__ import annotations

from collections.abc import Sequence

from polo import Component, hookimpl


@hookimpl
def polo_data_sources() -> Sequence[Component]:
    """The data sources of this package."""
    return [
        Component(
            name="demo",
            build="polo_datasets.demo:Demo",
            options="polo_datasets.options:DemoOptions",
            summary="a generated world of invented artists whose best possible score is known; needs no files",
            tags=("generated",),
        ),
        Component(
            name="lastfm",
            build="polo_datasets.lastfm:LastFM",
            options="polo_datasets.options:LastFMOptions",
            summary="LastFM artists: the published S-DPO rows, or the HetRec 2011 archive (downloaded)",
            source="HetRec 2011 (Cantador et al.); S-DPO rows, arXiv 2406.09215",
        ),
        Component(
            name="ml100k",
            build="polo_datasets.ml100k:ML100K",
            options="polo_datasets.options:ML100KOptions",
            summary="MovieLens-100K with timestamps, leave-last-out",
            source="Harper & Konstan 2015, doi 10.1145/2827872",
        ),
        Component(
            name="sequences",
            build="polo_datasets.sequences:SequencesSource",
            options="polo_datasets.sequences_options:SequencesOptions",
            summary="whole sequences of users, or training events and held-out sets, with an item table and texts",
        ),
        Component(
            name="cf",
            build="polo_datasets.cf:Cf",
            options="polo_datasets.cf_options:CfOptions",
            summary="sets of items without time or titles, from text files `user item item ...` as LightGCN's",
        ),
        Component(
            name="recbole",
            build="polo_datasets.recbole:RecBole",
            options="polo_datasets.recbole_options:RecBoleOptions",
            summary="tables in RecBole's form: NAME.inter and NAME.item",
        ),
        Component(
            name="rows",
            build="polo_datasets.rows:RowsSource",
            options="polo_datasets.options:RowsOptions",
            summary="your own JSON, JSONL, CSV or Parquet: rows with candidate lists, or interactions",
        ),
        Component(
            name="preferences",
            build="polo_datasets.preferences.source:Preferences",
            options="polo_datasets.preferences.options:PreferencesOptions",
            summary="prompts with chosen and rejected answers of their own, in TRL's forms; no catalogue",
        ),
    ]


@hookimpl
def polo_baselines() -> Sequence[Component]:
    """The ceiling of the generated world."""
    return [
        Component(
            name="best_possible",
            build="polo_datasets.best_possible:BestPossible",
            summary="the true conditional probability of each candidate given the shown history; data `demo` only",
            tags=("demo",),
        ),
    ]
