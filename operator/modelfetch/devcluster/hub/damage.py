"""Damaged bytes of an undamaged size.

In: content and a `Corrupt` action. Out: the same content with the damage laid over it. Used for files that are always
served damaged (repository.py) and for rules (faults.py).
"""

from modelfetch.devcluster.hub.content import Content
from modelfetch.devcluster.hub.rules import Corrupt


def corrupted(content: Content, action: Corrupt) -> Content:
    """Return `content` with the damage of `action`; an offset outside it changes nothing."""
    offset = action.offset if action.offset >= 0 else content.size + action.offset
    if not 0 <= offset < content.size:
        return content
    length = min(action.length, content.size - offset)
    if action.how == "zero":
        return content.patched(offset, bytes(length))
    if action.how == "flip":
        return content.patched(offset, bytes(byte ^ 1 for byte in content.read(offset, offset + length)))
    second = content.read(offset + length, min(offset + 2 * length, content.size))
    return content.patched(offset, second + content.read(offset, offset + length))
