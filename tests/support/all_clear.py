"""Words that call a snake safe, in every language of the package."""

import re

ALL_CLEAR = re.compile(
    r"harmless|\bsafe(ly)?\b|no danger|not dangerous|non-?venomous|not venomous|innocuous"
    r"|inofensiv|\bsegur[oa]s?\b|sin peligro|no (es|son) peligros|no venenos|inocu"
    r"|inoffensi|\bsûre?s?\b|sans (danger|risque)|pas (dangereu|venimeu)|non venimeu|anodin"
    r"|sem (perigo|risco)|não (é|são) (perigos|venenos)|não (venenos|peçonhent)"
    r"|हानिरहित|सुरक्षित|विषहीन|(विषैला|ख़?तरनाक|ज़?हरीला) नहीं"
    r"|\bsalama\b|ha(na|ina) (sumu|hatari|madhara)|\bsi hatari|bila hatari",
    re.IGNORECASE,
)
