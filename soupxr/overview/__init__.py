"""What a Dataset holds, how far it has come, and what to call next: for ``ds.soup``'s own repr."""

from soupxr.overview.telling import html_of, text_of

__all__ = ["html_of", "text_of"]
