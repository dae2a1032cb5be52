"""`/api/v1/emails`, in Resend's form."""
