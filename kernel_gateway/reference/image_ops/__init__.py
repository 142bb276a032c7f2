"""A real, small image service behind `catalog/specs/image_ops.openapi.yaml`: uploads, jobs, cleanup, quota."""
