"""What was one tag's deletion becomes a deletion of one item; trash that was kept stays kept."""

from django.db import migrations

STATES = {"in-progress": "waiting"}


def fill(apps, schema_editor):
    Deletion = apps.get_model("dashboard", "Deletion")
    DeletionItem = apps.get_model("dashboard", "DeletionItem")
    DeletionPlan = apps.get_model("dashboard", "DeletionPlan")
    for plan in DeletionPlan.objects.iterator(500):
        old = plan.effect
        item = {key: old.get(key) or [] for key in ("aliases", "parents", "children", "kept_children", "missing")}
        item |= {key: old.get(key) or "" for key in ("media_type", "kind")}
        item |= {"digest": plan.digest, "tags": [plan.tag], "total": old.get("total", 0), "frees": old.get("frees", 0)}
        plan.effect = {"ability": old.get("ability", ""), "items": [item], "unread": old.get("unread", []), "referrers": []}
        plan.choice = f"tag={plan.tag}"
        plan.save(update_fields=["effect", "choice"])
    for row in Deletion.objects.iterator(500):
        DeletionItem.objects.create(
            deletion=row,
            position=0,
            digest=row.digest,
            media_type=(row.plan.effect["items"][0])["media_type"],
            tags=[row.tag],
            method=row.method,
            children=row.children,
            kind=(row.plan.effect["items"][0])["kind"],
            state=STATES.get(row.state, row.state),
            step=row.step,
            throwaway_digest=row.throwaway_digest,
            outcome_code=row.outcome_code,
            outcome=row.outcome,
            finished_at=row.finished_at,
            restorable=row.restorable,
        )
        if row.state != "in-progress":
            Deletion.objects.filter(pk=row.pk).update(state="done", outcome={}, outcome_code="")


class Migration(migrations.Migration):

    dependencies = [("dashboard", "0011_deletion_items")]

    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
