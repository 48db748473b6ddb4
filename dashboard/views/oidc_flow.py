"""The two steps of the code flow, by mozilla_django_oidc, with pages in words where it would redirect or break off."""

from __future__ import annotations

from http import HTTPStatus

from django.core.exceptions import SuspiciousOperation
from django.http import HttpRequest, HttpResponse
from mozilla_django_oidc.views import OIDCAuthenticationCallbackView, OIDCAuthenticationRequestView

from dashboard.services import confirmed, oidc
from dashboard.services.oidc_signin import NOT_CONFIGURED, NOT_PROVED

from .oidc import refuse

STATES = "oidc_states"


class Begin(OIDCAuthenticationRequestView):
    """To the provider. State, nonce and the verifier of PKCE are kept in the session."""

    get_settings = staticmethod(oidc.setting)

    def get_extra_params(self, request: HttpRequest) -> dict[str, str]:
        """Where somebody is asked again, the provider shall not take an earlier sign-in for the answer."""
        return {"prompt": "login", "max_age": "0"} if request.GET.get("again") else {}


class Callback(OIDCAuthenticationCallbackView):
    """Back from it."""

    get_settings = staticmethod(oidc.setting)

    def get(self, request: HttpRequest) -> HttpResponse:
        """Signs in, or says why not. A refusal there, which anybody can forge, ends no session here."""
        if "error" in request.GET:
            states = request.session.get(STATES, {})
            if states.pop(request.GET.get("state", ""), None) is not None:
                request.session[STATES] = states
            return refuse(request, "refused-there")
        try:
            answer: HttpResponse = super().get(request)
        except SuspiciousOperation:
            return refuse(request, NOT_PROVED)
        return answer

    def login_success(self) -> HttpResponse:
        """Signed in; how fresh that is, the provider knows best."""
        answer: HttpResponse = super().login_success()
        at = getattr(self.request, "auth_time", None)
        confirmed.note(self.request, at=at if isinstance(at, int | float) else None)
        return answer

    def login_failure(self) -> HttpResponse:
        """The reason in words."""
        code = getattr(self.request, "refusal", NOT_PROVED)
        status = HTTPStatus.SERVICE_UNAVAILABLE if code == NOT_CONFIGURED else HTTPStatus.FORBIDDEN
        return refuse(self.request, code, status)
