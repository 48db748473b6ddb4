"""The index: what a registry holds, as rows that lists are queries of. It may be emptied and rebuilt at any time.

Content is stored once, whoever holds it: manifests (`IndexedManifest`) with what they refer to. A repository reaches it
through its revisions and tags; a query that shows content starts at a repository that the person may read.
A reference that a constraint of the same row begins with has no index of its own.

Sort keys are bytes, so that every database orders them alike (services/index/sort_keys.py).
"""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from .registry import Registry

MAX_DIGEST = 140


class IndexedBlob(models.Model):
    """A layer or config by digest; `bytes` as the manifests claim it.

    `diff_id` is the digest of a layer's uncompressed content, as the config of an image with it says; "" if unknown.
    """

    digest = models.CharField(max_length=MAX_DIGEST, unique=True)
    bytes = models.PositiveBigIntegerField()
    diff_id = models.CharField(max_length=MAX_DIGEST, blank=True, default="")

    class Meta:
        verbose_name = _("indexed blob")
        verbose_name_plural = _("indexed blobs")

    def __str__(self) -> str:
        return self.digest


class IndexedManifest(models.Model):
    """What one manifest says, and for an image what its config says. Its bytes are in `Content`.

    `bytes` are those of its config and layers stored in a registry, each once. `chain` identifies the sequence of its
    uncompressed layers (the OCI image spec's ChainID), by which images built on it are found.
    """

    digest = models.CharField(max_length=MAX_DIGEST, unique=True)
    media_type = models.CharField(max_length=255, blank=True)
    kind = models.CharField(max_length=10)
    artifact_type = models.CharField(max_length=255, blank=True)
    document_bytes = models.PositiveBigIntegerField()
    bytes = models.PositiveBigIntegerField()
    config_digest = models.CharField(max_length=MAX_DIGEST, blank=True, db_index=True)
    subject = models.CharField(max_length=MAX_DIGEST, blank=True, db_index=True)
    platform = models.CharField(max_length=100, blank=True)
    created_at = models.DateTimeField(null=True, blank=True)
    chain = models.CharField(max_length=MAX_DIGEST, blank=True, db_index=True)

    class Meta:
        verbose_name = _("indexed manifest")
        verbose_name_plural = _("indexed manifests")

    def __str__(self) -> str:
        return self.digest


class ManifestBlob(models.Model):
    """A manifest's config or one of its layers, in order from the base; each digest once."""

    manifest = models.ForeignKey(IndexedManifest, on_delete=models.CASCADE, related_name="blobs", db_index=False)
    blob = models.ForeignKey(IndexedBlob, on_delete=models.CASCADE, related_name="uses")
    position = models.PositiveIntegerField()
    is_layer = models.BooleanField()

    class Meta:
        verbose_name = _("blob of a manifest")
        verbose_name_plural = _("blobs of manifests")
        constraints = [models.UniqueConstraint(fields=["manifest", "blob"], name="blob_once_per_manifest")]

    def __str__(self) -> str:
        return f"{self.manifest_id} {self.position}"


class ManifestEntry(models.Model):
    """An entry of an index: the child's digest, and what the index says of it. `attests`: the image it is about."""

    manifest = models.ForeignKey(IndexedManifest, on_delete=models.CASCADE, related_name="entries", db_index=False)
    position = models.PositiveIntegerField()
    digest = models.CharField(max_length=MAX_DIGEST, db_index=True)
    platform = models.CharField(max_length=100, blank=True)
    attests = models.CharField(max_length=MAX_DIGEST, blank=True)
    is_attestation = models.BooleanField(default=False)

    class Meta:
        verbose_name = _("entry of an index")
        verbose_name_plural = _("entries of indexes")
        constraints = [models.UniqueConstraint(fields=["manifest", "position"], name="entry_once_per_position")]

    def __str__(self) -> str:
        return f"{self.manifest_id} {self.digest}"


class ManifestLabel(models.Model):
    """A label of an image's config, or an annotation of its manifest, to be searched. Long values are cut."""

    MAX_KEY, MAX_VALUE, MAX_LABELS = 200, 300, 50

    manifest = models.ForeignKey(IndexedManifest, on_delete=models.CASCADE, related_name="labels")
    key = models.CharField(max_length=MAX_KEY, db_index=True)
    value = models.CharField(max_length=MAX_VALUE, blank=True, db_index=True)

    class Meta:
        verbose_name = _("label of a manifest")
        verbose_name_plural = _("labels of manifests")

    def __str__(self) -> str:
        return f"{self.key}={self.value}"


class IndexedRepository(models.Model):
    """A repository as last read. `read_at` is when the reading of its list of tags *began*; None: never read whole.

    Sizes count what its tags reach, each blob once; `exclusive_bytes` of it no other repository of the registry holds.
    `pushed_at` is the newest push of a tag as far as it is known, `pulled_at` the last pull that was notified.
    A row without `read_at` is being written for the first time and is shown nowhere.
    """

    registry = models.ForeignKey(Registry, on_delete=models.CASCADE, related_name="repositories", db_index=False)
    name = models.CharField(max_length=255)
    namespace = models.CharField(max_length=255, blank=True)
    sort_key = models.BinaryField(max_length=1200)
    tree_key = models.BinaryField(max_length=2400)
    read_at = models.DateTimeField(null=True, blank=True)
    tags = models.PositiveIntegerField(default=0)
    bytes = models.PositiveBigIntegerField(default=0)
    exclusive_bytes = models.PositiveBigIntegerField(default=0)
    platforms = models.CharField(max_length=500, blank=True)
    kinds = models.CharField(max_length=100, blank=True)
    pushed_at = models.DateTimeField(null=True, blank=True)
    pulled_at = models.DateTimeField(null=True, blank=True)
    error_code = models.CharField(max_length=60, blank=True)

    class Meta:
        verbose_name = _("indexed repository")
        verbose_name_plural = _("indexed repositories")
        constraints = [models.UniqueConstraint(fields=["registry", "name"], name="repository_once_per_registry")]
        indexes = [
            models.Index(fields=["registry", "sort_key"], name="repository_by_name"),
            models.Index(fields=["registry", "bytes"], name="repository_by_bytes"),
            models.Index(fields=["registry", "exclusive_bytes"], name="repository_by_exclusive"),
            models.Index(fields=["registry", "pushed_at"], name="repository_by_push"),
            models.Index(fields=["registry", "pulled_at"], name="repository_by_pull"),
            models.Index(fields=["registry", "tags"], name="repository_by_tags"),
            models.Index(fields=["registry", "platforms"], name="repository_by_platforms"),
        ]

    def __str__(self) -> str:
        return self.name


class IndexedTag(models.Model):
    """A tag and what it names, with what lists sort by. `read_at` is when the reading that says so *began*.

    `manifest` is None where the digest could not be read (`error_code` tells why). `since` is when it began to point
    here: the push where the source tells it (`since_is_push`), else when we saw it first. `bytes` are compressed, for
    an index over the children that the repository holds; None where unknown. `platforms` are words `linux/amd64`, one
    that is missing begins with `!`. `stamp` is the time of the storage's link in nanoseconds, to be
    compared. `about` is the digest that a signature, attestation or SBOM belongs to.
    """

    repository = models.ForeignKey(IndexedRepository, on_delete=models.CASCADE, related_name="tag_rows", db_index=False)
    name = models.CharField(max_length=128)
    sort_key = models.BinaryField(max_length=700)
    digest = models.CharField(max_length=MAX_DIGEST, db_index=True)
    manifest = models.ForeignKey(IndexedManifest, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    read_at = models.DateTimeField()
    since = models.DateTimeField()
    since_is_push = models.BooleanField(default=False)
    stamp = models.BigIntegerField(null=True, blank=True)
    created_at = models.DateTimeField(null=True, blank=True)
    pulled_at = models.DateTimeField(null=True, blank=True)
    bytes = models.PositiveBigIntegerField(null=True, blank=True)
    is_partial = models.BooleanField(default=False)
    platforms = models.CharField(max_length=1000, blank=True)
    about = models.CharField(max_length=MAX_DIGEST, blank=True)
    error_code = models.CharField(max_length=60, blank=True)

    class Meta:
        verbose_name = _("indexed tag")
        verbose_name_plural = _("indexed tags")
        constraints = [models.UniqueConstraint(fields=["repository", "name"], name="tag_once_per_repository")]
        indexes = [
            models.Index(fields=["repository", "sort_key"], name="tag_by_name"),
            models.Index(fields=["repository", "since"], name="tag_by_push"),
            models.Index(fields=["repository", "bytes"], name="tag_by_bytes"),
            models.Index(fields=["repository", "created_at"], name="tag_by_created"),
            models.Index(fields=["repository", "pulled_at"], name="tag_by_pull"),
        ]

    def __str__(self) -> str:
        return self.name


class IndexedRevision(models.Model):
    """A manifest that a repository holds. `tagged`: reached by a tag, directly, through an index or by its subject.

    `pushed_at` is its last push, with a tag or without, as the storage tells it; None where that is not read.
    """

    repository = models.ForeignKey(
        IndexedRepository, on_delete=models.CASCADE, related_name="revisions", db_index=False
    )
    manifest = models.ForeignKey(IndexedManifest, on_delete=models.CASCADE, related_name="holders")
    tagged = models.BooleanField(default=True)
    pushed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = _("indexed revision")
        verbose_name_plural = _("indexed revisions")
        constraints = [models.UniqueConstraint(fields=["repository", "manifest"], name="revision_once_per_repository")]

    def __str__(self) -> str:
        return f"{self.repository_id} {self.manifest_id}"


class RepositoryBlob(models.Model):
    """A layer or config that a repository's revisions reach. `tagged`: a tagged revision is among them."""

    repository = models.ForeignKey(IndexedRepository, on_delete=models.CASCADE, related_name="blobs", db_index=False)
    blob = models.ForeignKey(IndexedBlob, on_delete=models.CASCADE, related_name="holders")
    tagged = models.BooleanField(default=True)

    class Meta:
        verbose_name = _("blob of a repository")
        verbose_name_plural = _("blobs of repositories")
        constraints = [models.UniqueConstraint(fields=["repository", "blob"], name="blob_once_per_repository")]

    def __str__(self) -> str:
        return f"{self.repository_id} {self.blob_id}"


class IndexState(models.Model):
    """How the index of a registry stands: its last refresh that ended, from which source, and what it had to say.

    `notices` are objects {code, …}: a repository that failed, a shrink that was held back, a mount that is not the
    registry's. `reconciled_at`: the last one that also looked anew at what had not changed. `shrink_accepted`: an
    administrator lets the next refresh remove what the shrink guard held back. `mount` is the last verdict on the
    mounted storage, with its time and the first difference.
    """

    class Source(models.TextChoices):
        """Where readings come from."""

        STORAGE = "storage", _("the mounted storage")
        API = "api", _("the registry's API")

    class Mount(models.TextChoices):
        """Whether the mounted storage is this registry's."""

        NONE = "none", _("not mounted")
        BELONGS = "belongs", _("belongs to this registry")
        DIFFERS = "differs", _("is of another registry")
        UNKNOWN = "unknown", _("cannot be told")

    registry = models.OneToOneField(Registry, on_delete=models.CASCADE, related_name="index_state")
    refreshed_at = models.DateTimeField(null=True, blank=True)
    reconciled_at = models.DateTimeField(null=True, blank=True)
    seconds = models.FloatField(default=0)
    source = models.CharField(max_length=10, choices=Source, blank=True)
    mount = models.CharField(max_length=10, choices=Mount, default=Mount.NONE)
    mount_checked_at = models.DateTimeField(null=True, blank=True)
    mount_difference = models.JSONField(default=dict, blank=True)
    notices = models.JSONField(default=list, blank=True)
    shrink_accepted = models.BooleanField(default=False)

    class Meta:
        verbose_name = _("state of an index")
        verbose_name_plural = _("states of indexes")

    def __str__(self) -> str:
        return f"{self.registry_id} {self.source}"
