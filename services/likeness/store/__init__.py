"""Floor 1: references, the log of their changes and the audit chain, durable and sealed."""

from likeness.store.audit import (
    AuditReceipt,
    AuditRecord,
    AuditReport,
)
from likeness.store.reads import ListFilter, Page
from likeness.store.store import Store, only
from likeness.store.vault import KeyRing, KeyUse, Vault
from likeness.store.verify import VerifyReport

__all__ = [
    "AuditReceipt",
    "AuditRecord",
    "AuditReport",
    "KeyRing",
    "KeyUse",
    "ListFilter",
    "Page",
    "Store",
    "Vault",
    "VerifyReport",
    "only",
]
