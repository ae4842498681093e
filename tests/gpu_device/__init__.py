"""Tests for a machine with a GPU. Where there is none they run on one that is made up, with a part of the cases."""
