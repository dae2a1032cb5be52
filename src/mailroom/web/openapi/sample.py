"""What the page of the API shows as code; the same in every language."""

STANDARD = "OpenAPI 3.1"
HEADER = "Authorization: Bearer mr_…"
ERROR = '{"statusCode": 422, "name": "validation_error", "message": "`to`: …"}'


def request(base: str, sender: str) -> str:
    """Return a first request for a shell. Its mail passes every step, but goes to no mail server."""
    return (
        f"curl {base}/emails \\\n"
        '  -H "Authorization: Bearer $MAILROOM_KEY" -H "Content-Type: application/json" \\\n'
        f"""  -d '{{"from": "{sender}", "to": "delivered@resend.dev", "subject": "…", "text": "…"}}'"""
    )
