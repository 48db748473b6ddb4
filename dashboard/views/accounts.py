"""Signing in and out, the account page, the theme, and a person's own registry credentials."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, cast
from urllib.parse import urlencode

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import LoginView, LogoutView
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from django_htmx.http import HttpResponseClientRedirect

from dashboard.contexts.account import account_page
from dashboard.contexts.errors import problem_of
from dashboard.contexts.frame import THEME_COOKIE, THEMES
from dashboard.forms.account import CredentialForm, PasswordForm, SignInForm
from dashboard.models import Registry, User
from dashboard.models.encryption import SecretUnreadable
from dashboard.services import credential_checks, credentials, passwords, set_up, throttle
from dashboard.services.account import account_of

from .confirm import confirmed_recently
from .pages import actor, enter, is_fragment, render_page

YEAR = 365 * 24 * 3600


@method_decorator(login_not_required, name="dispatch")
class SignIn(LoginView):
    """The sign-in page. A refused form answers 422 and keeps the name."""

    http_method_names = ["get", "head", "post"]
    template_name = "sign_in.html"
    authentication_form = SignInForm
    redirect_authenticated_user = True

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """For a fragment whose session ended, the whole page goes to sign in. While there is nobody, to set up."""
        if is_fragment(request):
            return HttpResponseClientRedirect(request.get_full_path())
        if set_up.is_needed():
            return redirect("set-up")
        return super().dispatch(request, *args, **kwargs)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Adds the registries whose users may sign in here, and the provider that signs people in."""
        found = super().get_context_data(**kwargs)
        there = f"{reverse('oidc')}?{urlencode({'next': found['next']})}" if settings.OIDC_ISSUER else ""
        return found | {
            "sign_in_registries": list(Registry.objects.filter(sign_in=True)[:10]),
            "oidc_url": there,
            "oidc_name": settings.OIDC_NAME,
        }

    def form_invalid(self, form: Any) -> HttpResponse:
        """The form again, with its errors."""
        response = super().form_invalid(form)
        if response.status_code == HTTPStatus.OK:
            response.status_code = HTTPStatus.UNPROCESSABLE_ENTITY
        return response


class SignOut(LogoutView):
    """Signs out; POST only."""

    http_method_names = ["post"]


def locked_out(
    request: HttpRequest, _response: HttpResponse | None = None, credentials: Any = None, **_kwargs: Any
) -> HttpResponse:
    """The page for a name and address with too many failures: until when."""
    until = throttle.locked_until(request, (credentials or {}).get("username", ""))
    context = {"until": until, "now": timezone.now()}
    return render(request, "locked_out.html", context, status=HTTPStatus.TOO_MANY_REQUESTS)


@require_safe
def account(request: HttpRequest) -> HttpResponse:
    """The account page: as whom this person acts on each registry."""
    page = account_page(account_of(user=cast(User, request.user)))
    return render_page(request, "account.html", {"page": page})


@require_POST
def theme(request: HttpRequest) -> HttpResponse:
    """Keeps the chosen theme in a cookie and goes back."""
    chosen = request.POST.get("theme", "")
    back = request.POST.get("next", "")
    safe = url_has_allowed_host_and_scheme(back, {request.get_host()}, require_https=request.is_secure())
    response = redirect(back if safe else reverse("account"))
    if chosen in THEMES:
        response.set_cookie(THEME_COOKIE, chosen, max_age=YEAR, samesite="Lax", secure=settings.SESSION_COOKIE_SECURE)
    return response


@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
def password(request: HttpRequest) -> HttpResponse:
    """Changes the password of somebody who has one here. The old one is throttled as at signing in."""
    user = cast(User, request.user)
    if not user.has_usable_password():
        raise Http404(_("You have no password here: it is changed where you sign in with it."))
    form = PasswordForm(user, request.POST if request.method == "POST" else None)
    if form.is_valid() and not passwords.is_right(request, user=user, password=form.cleaned_data["old_password"]):
        form.add_error("old_password", _("That is not your password."))
    if form.is_valid():
        passwords.change(request, user=user, password=form.cleaned_data["new_password1"], actor=actor(request))
        messages.success(request, _("Your password was changed. Other sessions of yours have ended."))
        return redirect("account")
    status = HTTPStatus.UNPROCESSABLE_ENTITY if form.errors else HTTPStatus.OK
    return render_page(request, "password.html", {"form": form}, status=status)


@sensitive_post_parameters("password")
@require_http_methods(["GET", "HEAD", "POST"])
@confirmed_recently
def credential(request: HttpRequest, slug: str) -> HttpResponse:
    """Sets, verifies again or removes a person's own credential on a registry."""
    access = enter(request, slug, section="account")
    registry, user = access.registry, access.user
    if registry.act_with != Registry.ActWith.OWN:
        raise Http404(_("On %(registry)s people act with the default credential.") % {"registry": registry})
    action = request.POST.get("action", "set") if request.method == "POST" else ""
    if action == "remove":
        credentials.remove(user=user, registry=registry, actor=actor(request))
        messages.success(request, _("Your credential on %(registry)s was removed.") % {"registry": registry})
        return redirect("account")
    if action == "verify":
        _verify_again(request, user, registry)
        return redirect("account")
    form = CredentialForm(request.POST if action else None)
    problem = None
    if action and form.is_valid():
        verdict = credentials.keep(user=user, registry=registry, actor=actor(request), **form.cleaned_data)
        if verdict.accepted and not verdict.needless:
            messages.success(
                request, _("%(registry)s accepted your credential. It is kept encrypted.") % {"registry": registry}
            )
            return redirect("account")
        if verdict.error:
            problem = problem_of(verdict.error)
        elif verdict.needless:
            form.add_error(
                None, _("%(registry)s asks nobody for a password, so none was kept.") % {"registry": registry}
            )
        else:
            form.add_error("password", _("%(registry)s refused that name and password.") % {"registry": registry})
    status = HTTPStatus.UNPROCESSABLE_ENTITY if form.errors or problem else HTTPStatus.OK
    return render_page(request, "credential.html", {"form": form, "problem": problem}, status=status)


def _verify_again(request: HttpRequest, user: User, registry: Registry) -> None:
    try:
        verdict = credential_checks.of_person(user=user, registry=registry, actor=actor(request))
    except SecretUnreadable:
        verdict = None
    except credential_checks.TooSoon:
        text = _(
            "%(registry)s refused your credential less than a minute ago, and was not asked again. Enter it again."
        )
        messages.error(request, text % {"registry": registry})
        return
    if verdict is None:
        messages.error(request, _("Your credential on %(registry)s has to be entered again.") % {"registry": registry})
    elif verdict.error is not None:
        messages.warning(request, problem_of(verdict.error).title)
    elif verdict.accepted:
        messages.success(request, _("%(registry)s accepts your credential.") % {"registry": registry})
    else:
        messages.error(request, _("%(registry)s refuses your credential now. Enter it again.") % {"registry": registry})
