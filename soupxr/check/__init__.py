"""Looks a store over: is everything in it whole, and do the videos and models fit it still?"""

from soupxr.check.found import Check, Finding
from soupxr.check.look import check, check_store

__all__ = ["Check", "Finding", "check", "check_store"]
