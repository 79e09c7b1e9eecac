"""Cohorts of simulated pairs."""

from __future__ import annotations

from ctwml_bids.simulation.pair import SimulatedPair, Truth, simulate_pair

__all__ = ["SimulatedPair", "Truth", "simulate_pair"]
