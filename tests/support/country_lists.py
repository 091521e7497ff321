"""Names of countries as published lists write them, from memory, where they differ from ISO's.

Each list has a line a country: the alpha-2 code, and the names. Names that equal a name of ISO 3166
are left out; a test reads all of ISO's names.
"""

WORLD_BANK = """
BS Bahamas, The
BQ Bonaire
BN Brunei Darussalam
CD Congo, Dem. Rep.
CG Congo, Rep.
CI Cote d'Ivoire
CW Curacao
CZ Czech Republic
EG Egypt, Arab Rep.
FO Faeroe Islands
GM Gambia, The
HK Hong Kong SAR, China|Hong Kong, China
IR Iran, Islamic Rep.
KP Korea, Dem. People's Rep.|Korea, Dem. Rep.
KR Korea, Rep.
XK Kosovo
KG Kyrgyz Republic
LA Lao PDR
MK Macedonia, FYR
MO Macao SAR, China
FM Micronesia, Fed. Sts.
MD Moldova
NL Netherlands
PR Puerto Rico (US)
RU Russian Federation
ST Sao Tome and Principe
SX Sint Maarten (Dutch part)
SK Slovak Republic
SO Somalia, Fed. Rep.
KN St. Kitts and Nevis
LC St. Lucia
MF St. Martin (French part)
VC St. Vincent and the Grenadines
SY Syrian Arab Republic
TW Taiwan, China
TZ Tanzania
TR Turkiye
US United States
VE Venezuela, RB
VI Virgin Islands (U.S.)
VG Virgin Islands (British)
PS West Bank and Gaza
YE Yemen, Rep.
"""

UN_M49 = """
BO Bolivia (Plurinational State of)
BQ Bonaire, Sint Eustatius and Saba
HK China, Hong Kong Special Administrative Region|China, Hong Kong SAR
MO China, Macao Special Administrative Region|China, Macao SAR
TW China, Taiwan Province of
CI Côte d\u2019Ivoire
KP Democratic People's Republic of Korea
CD Democratic Republic of the Congo|Dem. Rep. of the Congo
FK Falkland Islands (Malvinas)
IR Iran (Islamic Republic of)|Iran (Islamic Rep. of)
LA Lao People's Democratic Republic|Lao People's Dem. Rep.
FM Micronesia (Federated States of)|Micronesia (Fed. States of)
MK North Macedonia|The former Yugoslav Republic of Macedonia|TFYR of Macedonia
NL Netherlands (Kingdom of the)
KR Republic of Korea|Rep. of Korea
MD Republic of Moldova|Rep. of Moldova
MF Saint Martin (French Part)|Saint-Martin (French part)
SX Sint Maarten (Dutch part)
PS State of Palestine|Occupied Palestinian Territory
SJ Svalbard and Jan Mayen Islands
TZ United Rep. of Tanzania|United Republic of Tanzania
GB United Kingdom of Great Britain and Northern Ireland
US United States of America
VI United States Virgin Islands
VE Venezuela (Bolivarian Republic of)|Venezuela (Bolivarian Rep. of)
WF Wallis and Futuna Islands
KP Dem. People's Republic of Korea
CF Central African Rep.
SY Syrian Arab Rep.
DO Dominican Rep.
"""

UN_MEMBERS = """
AF the Islamic Republic of Afghanistan
AL the Republic of Albania
DZ the People's Democratic Republic of Algeria
AD the Principality of Andorra
AO the Republic of Angola
AG Antigua and Barbuda
AR the Argentine Republic
AM the Republic of Armenia
AU Australia|the Commonwealth of Australia
AT the Republic of Austria
AZ the Republic of Azerbaijan
BS the Commonwealth of the Bahamas|the Commonwealth of The Bahamas
BH the Kingdom of Bahrain
BD the People's Republic of Bangladesh
BB Barbados
BY the Republic of Belarus
BE the Kingdom of Belgium
BZ Belize
BJ the Republic of Benin
BT the Kingdom of Bhutan
BO the Plurinational State of Bolivia
BA Bosnia and Herzegovina
BW the Republic of Botswana
BR the Federative Republic of Brazil
BN Brunei Darussalam
BG the Republic of Bulgaria
BF Burkina Faso
BI the Republic of Burundi
CV the Republic of Cabo Verde
KH the Kingdom of Cambodia
CM the Republic of Cameroon
CA Canada
CF the Central African Republic
TD the Republic of Chad
CL the Republic of Chile
CN the People's Republic of China
CO the Republic of Colombia
KM the Union of the Comoros
CG the Republic of the Congo
CR the Republic of Costa Rica
CI the Republic of Côte d'Ivoire
HR the Republic of Croatia
CU the Republic of Cuba
CY the Republic of Cyprus
CZ the Czech Republic
KP the Democratic People's Republic of Korea
CD the Democratic Republic of the Congo
DK the Kingdom of Denmark
DJ the Republic of Djibouti
DM the Commonwealth of Dominica
DO the Dominican Republic
EC the Republic of Ecuador
EG the Arab Republic of Egypt
SV the Republic of El Salvador
GQ the Republic of Equatorial Guinea
ER the State of Eritrea
EE the Republic of Estonia
SZ the Kingdom of Eswatini
ET the Federal Democratic Republic of Ethiopia
FJ the Republic of Fiji
FI the Republic of Finland
FR the French Republic
GA the Gabonese Republic
GM the Republic of the Gambia|the Republic of The Gambia
GE Georgia
DE the Federal Republic of Germany
GH the Republic of Ghana
GR the Hellenic Republic
GD Grenada
GT the Republic of Guatemala
GN the Republic of Guinea
GW the Republic of Guinea-Bissau
GY the Co-operative Republic of Guyana
HT the Republic of Haiti
VA the Holy See
HN the Republic of Honduras
HU Hungary|the Republic of Hungary
IS Iceland|the Republic of Iceland
IN the Republic of India
ID the Republic of Indonesia
IR the Islamic Republic of Iran
IQ the Republic of Iraq
IE Ireland
IL the State of Israel
IT the Republic of Italy|the Italian Republic
JM Jamaica
JP Japan
JO the Hashemite Kingdom of Jordan
KZ the Republic of Kazakhstan
KE the Republic of Kenya
KI the Republic of Kiribati
KW the State of Kuwait
KG the Kyrgyz Republic
LA the Lao People's Democratic Republic
LV the Republic of Latvia
LB the Lebanese Republic
LS the Kingdom of Lesotho
LR the Republic of Liberia
LY the State of Libya|Libyan Arab Jamahiriya
LI the Principality of Liechtenstein
LT the Republic of Lithuania
LU the Grand Duchy of Luxembourg
MG the Republic of Madagascar
MW the Republic of Malawi
MY Malaysia
MV the Republic of Maldives
ML the Republic of Mali
MT the Republic of Malta
MH the Republic of the Marshall Islands
MR the Islamic Republic of Mauritania
MU the Republic of Mauritius
MX the United Mexican States
FM the Federated States of Micronesia
MC the Principality of Monaco
MN Mongolia
ME Montenegro
MA the Kingdom of Morocco
MZ the Republic of Mozambique
MM the Republic of the Union of Myanmar
NA the Republic of Namibia
NR the Republic of Nauru
NP the Federal Democratic Republic of Nepal|Nepal
NL the Kingdom of the Netherlands
NZ New Zealand
NI the Republic of Nicaragua
NE the Republic of the Niger
NG the Federal Republic of Nigeria
MK the Republic of North Macedonia
NO the Kingdom of Norway
OM the Sultanate of Oman
PK the Islamic Republic of Pakistan
PW the Republic of Palau
PA the Republic of Panama
PG Independent State of Papua New Guinea
PY the Republic of Paraguay
PE the Republic of Peru
PH the Republic of the Philippines
PL the Republic of Poland
PT the Portuguese Republic
QA the State of Qatar
KR the Republic of Korea
MD the Republic of Moldova
RO Romania
RU the Russian Federation
RW the Republic of Rwanda
KN Saint Kitts and Nevis
LC Saint Lucia
VC Saint Vincent and the Grenadines
WS the Independent State of Samoa
SM the Republic of San Marino
ST the Democratic Republic of Sao Tome and Principe
SA the Kingdom of Saudi Arabia
SN the Republic of Senegal
RS the Republic of Serbia
SC the Republic of Seychelles
SL the Republic of Sierra Leone
SG the Republic of Singapore
SK the Slovak Republic
SI the Republic of Slovenia
SB Solomon Islands
SO the Federal Republic of Somalia
ZA the Republic of South Africa
SS the Republic of South Sudan
ES the Kingdom of Spain
LK the Democratic Socialist Republic of Sri Lanka
PS the State of Palestine
SD the Republic of the Sudan|the Sudan
SR the Republic of Suriname
SE the Kingdom of Sweden
CH the Swiss Confederation
SY the Syrian Arab Republic
TJ the Republic of Tajikistan
TH the Kingdom of Thailand
TL the Democratic Republic of Timor-Leste
TG the Togolese Republic
TO the Kingdom of Tonga
TT the Republic of Trinidad and Tobago
TN the Republic of Tunisia
TR the Republic of Türkiye|the Republic of Turkey
TM Turkmenistan
TV Tuvalu
UG the Republic of Uganda
UA Ukraine
AE the United Arab Emirates
GB the United Kingdom of Great Britain and Northern Ireland
TZ the United Republic of Tanzania
US the United States of America
UY the Eastern Republic of Uruguay|the Oriental Republic of Uruguay
UZ the Republic of Uzbekistan
VU the Republic of Vanuatu
VE the Bolivarian Republic of Venezuela
VN the Socialist Republic of Viet Nam
YE the Republic of Yemen
ZM the Republic of Zambia
ZW the Republic of Zimbabwe
"""

CIA = """
BS Bahamas, The|The Bahamas
BN Brunei
BM Bermuda
MM Burma|Burma (Myanmar)
CV Cabo Verde|Cape Verde
CC Cocos (Keeling) Islands
CD Congo, Democratic Republic of the|DRC
CG Congo, Republic of the
CI Cote d'Ivoire
CW Curacao
CZ Czechia|Czech Republic
GM Gambia, The|The Gambia
FK Falkland Islands (Islas Malvinas)
PS Gaza Strip|West Bank
HM Heard Island and McDonald Islands
VA Holy See (Vatican City)|Vatican City
HK Hong Kong
KP Korea, North
KR Korea, South
LA Laos
MO Macau|Macao
FM Micronesia, Federated States of
MK North Macedonia|Macedonia
PN Pitcairn Islands
RU Russia
BL Saint Barthelemy
SH Saint Helena, Ascension, and Tristan da Cunha
MF Saint Martin
ST Sao Tome and Principe
SX Sint Maarten
GS South Georgia and South Sandwich Islands
SJ Svalbard|Jan Mayen
SY Syria
TW Taiwan
TZ Tanzania
TL Timor-Leste|East Timor
TR Turkey (Turkiye)|Turkey
VN Vietnam
VI Virgin Islands
VG British Virgin Islands
TF French Southern and Antarctic Lands
UM United States Pacific Island Wildlife Refuges|Wake Island|Navassa Island
CX Christmas Island
SZ Eswatini|Swaziland
KM Union of the Comoros
MM Union of Burma
AE United Arab Emirates
WS Independent State of Samoa
"""

GBIF = """
BO Bolivia (Plurinational State of)
BQ Bonaire, Saint Eustatius and Saba|Bonaire, Sint Eustatius and Saba
BN Brunei Darussalam
CV Cabo Verde|Cape Verde
TW Chinese Taipei
CD Congo, Democratic Republic of the|Congo, the Democratic Republic of the
CG Congo|Congo, Republic of the
CI Côte d\u2019Ivoire|Côte d'Ivoire
FK Falkland Islands (Malvinas)
VA Holy See|Holy See (Vatican City State)
IR Iran, Islamic Republic of|Iran (Islamic Republic of)
KP Korea (Democratic People\u2019s Republic of)|Korea, Democratic People's Republic of
KR Korea, Republic of|Korea (Republic of)
LA Lao People\u2019s Democratic Republic
LY Libyan Arab Jamahiriya
MK Macedonia, the former Yugoslav Republic of|Macedonia (former Yugoslav Republic of)
FM Micronesia (Federated States of)|Micronesia, Federated States of
MD Moldova (Republic of)|Moldova, Republic of
NL Netherlands, Kingdom of the
PS Palestine, State of|Palestinian Territory, Occupied
RE Réunion
SH Saint Helena, Ascension and Tristan da Cunha
MF Saint Martin (French part)
SX Sint Maarten (Dutch part)
SZ Eswatini|Swaziland
TW Taiwan, Province of China|Taiwan (Province of China)
TZ Tanzania, United Republic of
GB United Kingdom of Great Britain and Northern Ireland
US United States of America
VE Venezuela (Bolivarian Republic of)|Venezuela, Bolivarian Republic of
VG Virgin Islands (British)|Virgin Islands, British
VI Virgin Islands (U.S.)|Virgin Islands, U.S.
BS Bahamas (the)
CG Congo (the)
CD Congo (the Democratic Republic of the)
KP Korea (the Democratic People's Republic of)
KR Korea (the Republic of)
NE Niger (the)
SD Sudan (the)
TZ Tanzania, the United Republic of
LA Lao People's Democratic Republic (the)
FK Falkland Islands (the) [Malvinas]
IO British Indian Ocean Territory (the)
AE United Arab Emirates (the)
US United States of America (the)
"""

NATURAL_EARTH_NAME = """
AG Antigua and Barb.
BA Bosnia and Herz.
BL St-Barthélemy
CF Central African Rep.
CK Cook Is.
CV Cabo Verde
CD Dem. Rep. Congo
CG Congo
CI Côte d'Ivoire
CW Curaçao
DO Dominican Rep.
EH W. Sahara
FK Falkland Is.
FO Faeroe Is.
GQ Eq. Guinea
GS S. Geo. and the Is.
HM Heard I. and McDonald Is.
HK Hong Kong
IO Br. Indian Ocean Ter.|Indian Ocean Ter.
KN St. Kitts and Nevis
KY Cayman Is.
MF St-Martin
MH Marshall Is.
MP N. Mariana Is.
CY N. Cyprus|Cyprus
PF Fr. Polynesia
PM St. Pierre and Miquelon
PN Pitcairn Is.
SB Solomon Is.
SS S. Sudan
ST São Tomé and Principe
SZ eSwatini
TC Turks and Caicos Is.
TF Fr. S. Antarctic Lands
UM U.S. Minor Outlying Is.
VC St. Vin. and Gren.
VG British Virgin Is.
VI U.S. Virgin Is.
WF Wallis and Futuna Is.
SO Somaliland
AX Åland
VA Vatican
MK North Macedonia|Macedonia
"""

NATURAL_EARTH_LONG = """
BN Brunei Darussalam|Brunei
BS Bahamas|The Bahamas
CD Democratic Republic of the Congo
CG Republic of the Congo|Republic of Congo
CI Côte d'Ivoire|Ivory Coast
CZ Czech Republic|Czechia
FK Falkland Islands / Malvinas|Falkland Islands
FM Federated States of Micronesia
GM The Gambia|Gambia
GS South Georgia and the Islands
HK Hong Kong S.A.R.|Hong Kong
IO British Indian Ocean Territory
KP Dem. Rep. Korea|North Korea
KR Republic of Korea|South Korea
LA Lao PDR|Laos
MF Saint-Martin|Saint Martin
BL Saint-Barthélemy|Saint Barthelemy
MO Macao S.A.R|Macao
RS Republic of Serbia|Serbia
RU Russian Federation|Russia
SH Saint Helena
ST São Tomé and Principe|Sao Tome and Principe
SZ Kingdom of eSwatini|eSwatini
TF French Southern and Antarctic Lands
TL Timor-Leste|East Timor
TZ United Republic of Tanzania|Tanzania
US United States of America|United States
VI United States Virgin Islands
CY Northern Cyprus
FO Faeroe Islands|Faroe Islands
PN Pitcairn Islands
SX Sint Maarten
MK North Macedonia
"""

# Those that can mean one country only; "Aust." is Austria there and Australia elsewhere.
NATURAL_EARTH_ABBREVIATIONS = """
AF Afg.
AL Alb.
DZ Alg.
AR Arg.
BR Brazil
CF C.A.R.
CA Can.
CO Col.
CZ Cz. Rep.
CD D.R.C.
EC Ecu.
EG Egypt
ER Eri.
EE Est.
ET Eth.
FI Fin.
DE Ger.
GQ Eq. G.
HN Hond.
HU Hun.
JM Jam.
KZ Kaz.
KE Ken.
KP N. Korea
KR S. Korea
LB Leb.
LR Liberia
MD Mold.
MX Mex.
MZ Moz.
NA Nam.
NL Neth.
NC New C.
NZ N.Z.|New Z.
PG P.N.G.
PK Pak.
PH Phil.
PL Pol.
PT Port.
CG Rep. Congo
RO Rom.
RW Rwa.
ZA S. Africa
SS S. Sud.
SN Sen.
SL S. Leone
LK Sri L.
CH Switz.
TZ Tanz.
TH Thai.
TT Tr. T.|Trin. & Tob.
TN Tun.
TM Turkm.
AE U.A.E.
UG Uga.
GB U.K.
US U.S.A.
UA Ukr.
UZ Uzb.
VE Ven.
VN Viet.
EH W. Sah.
YE Yem.
ZM Zambia
ZW Zimb.
"""

WIKIPEDIA = """
AX Åland
BS The Bahamas
BQ Caribbean Netherlands
MM Myanmar (Burma)
CN People's Republic of China|PR China
TW Taiwan|Republic of China|Republic of China (Taiwan)|Taiwan (Republic of China)
CC Cocos (Keeling) Islands
CD DR Congo|Democratic Republic of the Congo|Congo (Kinshasa)|Congo-Kinshasa|Congo DR|DRC
CG Republic of the Congo|Congo (Brazzaville)|Congo-Brazzaville
CI Ivory Coast|Republic of Ivory Coast
CZ Czech Republic
SZ Eswatini|Swaziland
FM Federated States of Micronesia|FS Micronesia
FK Falkland Islands
GM The Gambia
GE Georgia (country)
GS South Georgia and the South Sandwich Islands
IE Ireland|Republic of Ireland
IO British Indian Ocean Territory
KP North Korea|DPR Korea|Korea, North|DPRK
KR South Korea|ROK
KG Kyrgyzstan
LA Laos
MF Saint Martin|Collectivity of Saint Martin
MK North Macedonia|Republic of Macedonia
PS Palestine|State of Palestine|Palestinian territories
PN Pitcairn Islands
RU Russia
SH Saint Helena, Ascension and Tristan da Cunha|Ascension Island|Tristan da Cunha
EH Western Sahara|Sahrawi Arab Democratic Republic|Sahrawi Republic
ST São Tomé and Príncipe
SX Sint Maarten
SY Syria
TF French Southern and Antarctic Lands
TL East Timor|Timor-Leste
TR Turkey
TZ Tanzania
UM U.S. Minor Outlying Islands
VA Vatican City
VG British Virgin Islands
VI U.S. Virgin Islands|United States Virgin Islands
VN Vietnam
XK Kosovo|Republic of Kosovo
CY Northern Cyprus|Turkish Republic of Northern Cyprus
SO Somaliland|Republic of Somaliland
MD Moldova|Transnistria
CK Cook Islands
NU Niue
BN Brunei
CV Cape Verde
BA Bosnia-Herzegovina|Bosnia & Herzegovina|Bosnia
US the United States|United States (USA)|U.S.|US|USA
GB United Kingdom|U.K.|UK|Great Britain|Northern Ireland|Scotland|Wales|England
AE UAE
PG PNG
"""

INATURALIST = """
AX Åland
BS Bahamas
BA Bosnia-Herzegovina|Bosnia and Herzegovina
BN Brunei
BQ Caribbean Netherlands|Bonaire
CV Cape Verde
CF Central African Republic
CC Cocos (Keeling) Islands|Cocos Islands
CD Democratic Republic of the Congo|Congo, Democratic Republic of the
CG Republic of the Congo|Congo
CI Côte d'Ivoire|Ivory Coast
CW Curaçao|Curacao
CZ Czech Republic
FK Falkland Islands|Falkland Islands (Islas Malvinas)
TF French Southern Territories
GM Gambia
GW Guinea-Bissau
HK Hong Kong
IR Iran
LA Laos
MO Macao|Macau
MK Macedonia|Republic of Macedonia|North Macedonia
FM Micronesia|Federated States of Micronesia
MD Moldova
MM Myanmar
KP North Korea
PS Palestine|Palestinian Territory|Palestinian Territories
PN Pitcairn Islands|Pitcairn
RE Réunion|Reunion
RU Russia
SH Saint Helena
KN Saint Kitts and Nevis|St. Kitts and Nevis
MF Saint Martin|Saint-Martin
PM Saint Pierre and Miquelon
VC Saint Vincent and the Grenadines
ST São Tomé and Príncipe|Sao Tome and Principe
KR South Korea
SJ Svalbard and Jan Mayen|Svalbard & Jan Mayen
SZ Swaziland
SY Syria
TW Taiwan
TZ Tanzania
TL East Timor|Timor-Leste|Timor Leste
TR Turkey
US United States
VA Vatican City
VE Venezuela
VN Vietnam|Viet Nam
VG British Virgin Islands
VI U.S. Virgin Islands|US Virgin Islands|Virgin Islands, U.S.
XK Kosovo
GE Georgia
"""

LISTS = {
    name.lower(): [
        (code, form)
        for line in text.strip().splitlines()
        for code, _, forms in [line.partition(" ")]
        for form in forms.split("|")
    ]
    for name, text in list(globals().items())
    if name.isupper() and isinstance(text, str)
}
