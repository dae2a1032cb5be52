"""What becomes of the operator's name, logo and colour, in sentences: for the doctor and for the desk."""

from mailroom.i18n.messages import gettext, gettext_noop
from mailroom.kit.colors import READABLE
from mailroom.ops.doctor.findings import Finding, good
from mailroom.settings import Settings
from mailroom.settings.brand import LARGEST_IN_MAIL, Brand

CHECK = gettext_noop("your name")
SHADED = {
    "light": gettext_noop(
        "on light pages %(color)s cannot be read (%(contrast)s:1, and %(least)s:1 is needed), so links there are "
        "%(shade)s"
    ),
    "dark": gettext_noop(
        "on dark pages %(color)s cannot be read (%(contrast)s:1, and %(least)s:1 is needed), so links there are "
        "%(shade)s"
    ),
}


async def check(settings: Settings) -> list[Finding]:
    """Tell what was made of the settings, if any of them is set. The start refuses settings that are wrong."""
    brand = settings.brand
    given = [settings.product_name, str(settings.logo.name) if settings.logo else "", settings.accent_color]
    said = ", ".join(filter(None, given))
    return [good(CHECK, words) for words in [*filter(None, [said]), *notes(brand)]]


def notes(brand: Brand) -> list[str]:
    """Return what an operator may wonder about, one sentence without its full stop each."""
    accent = brand.accent
    found = [_shaded(accent.fill, *one) for one in accent.shaded] if accent.is_own else []
    if accent.is_own and not accent.tells_states_apart:
        found.append(
            gettext("bars of progress stay blue: red, amber, green and grey say there how a mail or task stands")
        )
    if brand.logo and brand.mail_logo is None:
        found.append(
            gettext(
                "mails show the name without the logo: they take a PNG of at most %(size)s KB, of an SVG the PNG "
                "of the same name beside it",
                size=LARGEST_IN_MAIL // 1024,
            )
        )
    if brand.logo and brand.logo.is_wide:
        found.append(
            gettext("the logo is more than twice as wide as high, so pages show it without the name beside it")
        )
    return found


def _shaded(color: str, scheme: str, contrast: float, shade: str) -> str:
    found, least = f"{contrast:.1f}", f"{READABLE:g}"
    return gettext(SHADED[scheme], color=color, contrast=found, least=least, shade=shade)
