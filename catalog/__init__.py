"""What may be called: reviewed OpenAPI documents as operations that can be searched. Imports nothing of ours."""

from catalog.operation import Catalog, Effect, Hit, Operation

__all__ = ["Catalog", "Effect", "Hit", "Operation"]
